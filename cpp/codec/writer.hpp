// Appends wire data to a vector: for packets that are rare or of variable shape.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "codec/packet_type.hpp"
#include "codec/varint.hpp"

namespace amqtt {

class writer {
  public:
    explicit writer(std::vector<std::uint8_t>& out) noexcept : out_(out) {}

    void u8(std::uint8_t value) { out_.push_back(value); }
    void u16(std::uint16_t value) {
        u8(static_cast<std::uint8_t>(value >> 8));
        u8(static_cast<std::uint8_t>(value));
    }
    void u32(std::uint32_t value) {
        u16(static_cast<std::uint16_t>(value >> 16));
        u16(static_cast<std::uint16_t>(value));
    }
    void varint(std::uint32_t value) {
        std::array<std::uint8_t, 4> encoded{};
        std::uint8_t* end = write_varint(encoded.data(), value);
        out_.insert(out_.end(), encoded.data(), end);
    }
    void bytes(bytes_view data) { out_.insert(out_.end(), data.begin(), data.end()); }
    // Precondition of both: at most 65,535 bytes.
    void binary(bytes_view data) {
        assert(data.size() <= UINT16_MAX);
        u16(static_cast<std::uint16_t>(data.size()));
        bytes(data);
    }
    void utf8(std::string_view text) { binary(as_bytes(text)); }

  private:
    std::vector<std::uint8_t>& out_;
};

// Appends fixed header and body of a packet.
inline void write_packet(std::vector<std::uint8_t>& out, packet_type type, bytes_view body) {
    writer to(out);
    to.u8(first_byte(type, required_flags(type)));
    to.varint(static_cast<std::uint32_t>(body.size()));
    to.bytes(body);
}

}  // namespace amqtt
