// What crosses between a broker's engine and Python.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/log.hpp"
#include "base/message.hpp"
#include "base/qos.hpp"

namespace amqtt {

// From the engine.
using broker_event = std::variant<log_record>;

// To the engine.
struct publish_command {
    message_ptr content;
    std::optional<qos> level;  // nullopt: the QoS each subscriber was granted
};

using broker_command = std::variant<publish_command>;

}  // namespace amqtt
