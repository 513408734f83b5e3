// Appends wire data to a vector: for packets that are rare or of variable shape.
//
// What has no encoding is left out and makes ok() false for good, so that an encoder writes a run
// of fields and checks once.
#pragma once

#include <array>
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
    // value: at most varint_max.
    void varint(std::uint64_t value) {
        if (varint_size(value) == 0) ok_ = false;
        std::array<std::uint8_t, 4> encoded{};
        std::uint8_t* end = write_varint(encoded.data(), value);
        out_.insert(out_.end(), encoded.data(), end);
    }
    void bytes(bytes_view data) { out_.insert(out_.end(), data.begin(), data.end()); }
    // At most 65,535 bytes, here and below.
    void binary(bytes_view data) {
        if (data.size() > UINT16_MAX) {
            ok_ = false;
            return;
        }
        u16(static_cast<std::uint16_t>(data.size()));
        bytes(data);
    }
    void utf8(std::string_view text) { binary(as_bytes(text)); }

    bool ok() const noexcept { return ok_; }

  private:
    std::vector<std::uint8_t>& out_;
    bool ok_ = true;
};

// Appends fixed header and body of a packet. False, and nothing is appended: the body is longer
// than a Remaining Length can say.
[[nodiscard]] inline bool write_packet(std::vector<std::uint8_t>& out, packet_type type,
                                       bytes_view body) {
    if (varint_size(body.size()) == 0) return false;
    writer to(out);
    to.u8(first_byte(type, required_flags(type)));
    to.varint(body.size());
    to.bytes(body);
    return true;
}

}  // namespace amqtt
