#pragma once

#include <cstdint>

namespace amqtt {

enum class packet_type : std::uint8_t {
    reserved = 0,
    connect = 1,
    connack = 2,
    publish = 3,
    puback = 4,
    pubrec = 5,
    pubrel = 6,
    pubcomp = 7,
    subscribe = 8,
    suback = 9,
    unsubscribe = 10,
    unsuback = 11,
    pingreq = 12,
    pingresp = 13,
    disconnect = 14,
    auth = 15,
};

// The first byte of a packet.
constexpr std::uint8_t first_byte(packet_type type, std::uint8_t flags = 0) noexcept {
    return static_cast<std::uint8_t>((static_cast<std::uint8_t>(type) << 4) | flags);
}

// The flag bits every packet but PUBLISH must carry (3.1.1: MQTT-2.2.2-1, 5.0: MQTT-2.1.3-1).
constexpr std::uint8_t required_flags(packet_type type) noexcept {
    switch (type) {
        case packet_type::pubrel:
        case packet_type::subscribe:
        case packet_type::unsubscribe:
            return 0x02;
        default:
            return 0x00;
    }
}

}  // namespace amqtt
