#include "base/log.hpp"

#include <cstddef>

namespace amqtt {
namespace {

constexpr std::size_t longest = 100;

void append_hex(std::string& out, unsigned char byte) {
    static constexpr char digits[] = "0123456789abcdef";
    out += "\\x";
    out += digits[byte >> 4U];
    out += digits[byte & 0xFU];
}

// Where to cut, so that no character is cut in two.
std::size_t shortened(std::string_view text) noexcept {
    if (text.size() <= longest) return text.size();
    std::size_t end = longest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
        --end;
    return end;
}

}  // namespace

std::string printable(std::string_view text) {
    const std::size_t end = shortened(text);
    std::string out;
    out.reserve(end);
    for (std::size_t i = 0; i < end; ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const auto next = static_cast<unsigned char>(i + 1 < end ? text[i + 1] : 0);
        if (byte < 0x20 || byte == 0x7F) {
            append_hex(out, byte);
        } else if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {  // U+0080 to U+009F
            append_hex(out, next);
            ++i;
        } else {
            out += text[i];
        }
    }
    if (end < text.size()) out += "...";
    return out;
}

}  // namespace amqtt
