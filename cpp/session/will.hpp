#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/qos.hpp"
#include "codec/connect.hpp"
#include "codec/publish.hpp"

namespace amqtt {

// The Will Message of a connection (section 3.1.2.5), owned.
struct will_message {
    explicit will_message(const will_fields& fields)
        : topic(fields.topic),
          payload(as_text(fields.payload)),
          level(fields.level),
          retain(fields.retain),
          delay(fields.props.integer(property_id::will_delay_interval, 0)),
          forwarded(forwarded_properties(fields.props)) {
        if (fields.props.contains(property_id::message_expiry_interval)) {
            expiry_interval = fields.props.integer(property_id::message_expiry_interval, 0);
        }
    }

    std::string topic;
    std::string payload;
    qos level;
    bool retain;
    std::uint32_t delay;  // seconds between the end of the connection and publishing
    std::vector<std::uint8_t> forwarded;
    std::optional<std::uint32_t> expiry_interval;  // seconds, from publishing on
};

}  // namespace amqtt
