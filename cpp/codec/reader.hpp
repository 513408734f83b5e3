// A bounds-checked cursor over the body of a packet.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "codec/utf8.hpp"

namespace amqtt {

// Reads past the end yield zeros and make ok() false for good, so that a decoder reads a run
// of fields and checks once.
class reader {
  public:
    explicit reader(bytes_view data) noexcept : data_(data) {}

    bool ok() const noexcept { return ok_; }
    bool at_end() const noexcept { return data_.empty(); }
    std::size_t remaining() const noexcept { return data_.size(); }

    std::uint8_t u8() noexcept {
        if (!need(1)) return 0;
        const std::uint8_t value = data_[0];
        data_ = data_.subspan(1);
        return value;
    }
    std::uint16_t u16() noexcept {
        if (!need(2)) return 0;
        const auto value = static_cast<std::uint16_t>((data_[0] << 8) | data_[1]);
        data_ = data_.subspan(2);
        return value;
    }
    std::uint32_t u32() noexcept {
        if (!need(4)) return 0;
        const std::uint32_t high = u16();
        return (high << 16) | u16();
    }
    bytes_view bytes(std::size_t n) noexcept {
        if (!need(n)) return {};
        const bytes_view value = data_.first(n);
        data_ = data_.subspan(n);
        return value;
    }
    // Binary Data: two length bytes, then that many bytes.
    bytes_view binary() noexcept { return bytes(u16()); }
    // A UTF-8 Encoded String; ill-formed text and U+0000 make ok() false
    // (3.1.1: MQTT-1.5.3-1, -2; 5.0: MQTT-1.5.4-1, -2).
    std::string_view utf8() noexcept {
        const std::string_view text = as_text(binary());
        if (!is_valid_utf8(text)) ok_ = false;
        return text;
    }
    // A Variable Byte Integer in its shortest form.
    std::uint32_t varint() noexcept;
    // Reads the next byte if that is the value.
    bool skip(std::uint8_t value) noexcept {
        if (data_.empty() || data_[0] != value) return false;
        data_ = data_.subspan(1);
        return true;
    }
    bytes_view rest() noexcept { return bytes(data_.size()); }

  private:
    bool need(std::size_t n) noexcept {
        if (data_.size() >= n) return true;
        ok_ = false;
        data_ = {};
        return false;
    }

    bytes_view data_;
    bool ok_ = true;
};

}  // namespace amqtt
