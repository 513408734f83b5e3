#pragma once

#include <string>

#include "base/qos.hpp"
#include "codec/connect.hpp"

namespace amqtt {

// The Will Message of a connection (section 3.1.2.5), owned.
struct will_message {
    explicit will_message(const will_fields& fields)
        : topic(fields.topic),
          payload(as_text(fields.payload)),
          level(fields.level),
          retain(fields.retain) {}

    std::string topic;
    std::string payload;
    qos level;
    bool retain;
};

}  // namespace amqtt
