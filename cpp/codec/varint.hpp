// Variable Byte Integer: seven bits a byte, low group first, at most four bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace amqtt {

inline constexpr std::uint32_t varint_max = 268'435'455;
// The longest packet: its first byte, a Remaining Length of four bytes, and what that counts.
inline constexpr std::uint32_t largest_packet_size = 1 + 4 + varint_max;

enum class varint_status : std::uint8_t { complete, incomplete, malformed };

struct varint_result {
    varint_status status = varint_status::incomplete;
    std::uint32_t value = 0;
    std::size_t size = 0;  // bytes it took
};

constexpr varint_result read_varint(bytes_view data) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        if (i == data.size()) return {varint_status::incomplete, 0, 0};
        value |= static_cast<std::uint32_t>(data[i] & 0x7F) << (7 * i);
        if ((data[i] & 0x80) == 0) return {varint_status::complete, value, i + 1};
    }
    return {varint_status::malformed, 0, 0};
}

// Bytes that a value takes; 0: it has no encoding, because it exceeds varint_max.
constexpr std::size_t varint_size(std::uint64_t value) noexcept {
    return value < 128           ? 1
           : value < 16'384      ? 2
           : value < 2'097'152   ? 3
           : value <= varint_max ? 4
                                 : 0;
}

// Writes value at place in varint_size() bytes and returns the byte after it.
constexpr std::uint8_t* write_varint(std::uint8_t* place, std::uint64_t value) noexcept {
    if (value > varint_max) return place;
    while (value >= 128) {
        *place++ = static_cast<std::uint8_t>(value | 0x80);
        value >>= 7;
    }
    *place++ = static_cast<std::uint8_t>(value);
    return place;
}

}  // namespace amqtt
