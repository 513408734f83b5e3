#pragma once

#include <algorithm>
#include <cstdint>

namespace amqtt {

enum class qos : std::uint8_t { at_most_once = 0, at_least_once = 1, exactly_once = 2 };

constexpr std::uint8_t to_byte(qos level) noexcept {
    return static_cast<std::uint8_t>(level);
}

// The QoS of a delivery: the lower of what was published and what was granted.
constexpr qos lower_of(qos a, qos b) noexcept {
    return std::min(a, b);
}

}  // namespace amqtt
