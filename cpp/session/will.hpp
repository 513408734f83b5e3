#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/footprint.hpp"
#include "base/qos.hpp"
#include "codec/connect.hpp"
#include "codec/publish.hpp"
#include "storage/state_changes.hpp"

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

    // One that was stored.
    explicit will_message(will_row row)
        : topic(std::move(row.topic)),
          payload(std::move(row.payload)),
          level(row.level),
          retain(row.retain),
          delay(row.delay),
          forwarded(std::move(row.properties)),
          expiry_interval(row.expiry_interval) {}

    // What it takes of memory.
    std::size_t bytes() const noexcept {
        return allocated(sizeof(will_message)) + text_bytes(topic) + text_bytes(payload) +
               allocated(forwarded.capacity());
    }

    std::string topic;
    std::string payload;
    qos level = qos::at_most_once;
    bool retain = false;
    std::uint32_t delay = 0;  // seconds between the end of the connection and publishing
    std::vector<std::uint8_t> forwarded;
    std::optional<std::uint32_t> expiry_interval;  // seconds, from publishing on
};

}  // namespace amqtt
