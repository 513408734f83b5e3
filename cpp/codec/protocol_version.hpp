#pragma once

#include <cstdint>

namespace amqtt {

// The protocol level byte of CONNECT. One packet type and one state machine serve them all.
enum class protocol_version : std::uint8_t { v3_1 = 3, v3_1_1 = 4, v5_0 = 5 };

constexpr bool has_properties(protocol_version version) noexcept {
    return version == protocol_version::v5_0;
}

}  // namespace amqtt
