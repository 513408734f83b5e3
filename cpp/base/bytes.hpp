// Views of wire data: bytes as they travel, text where the standard says UTF-8.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace amqtt {

using bytes_view = std::span<const std::uint8_t>;

inline bytes_view as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string_view as_text(bytes_view bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace amqtt
