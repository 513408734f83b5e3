#include "base/log.hpp"

#include <cstddef>

namespace amqtt {
namespace {

constexpr std::size_t most_characters = 256;

struct character {
    char32_t code = 0;
    std::size_t size = 0;  // in bytes; 0: not UTF-8
};

bool is_continuation(char byte) noexcept {
    return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

// The first character of a text that is not empty.
character first_of(std::string_view text) noexcept {
    static constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const auto lead = static_cast<unsigned char>(text[0]);
    if (lead < 0x80) return {lead, 1};
    const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return {};
    char32_t code = lead & (0x7FU >> size);
    for (std::size_t i = 1; i < size; ++i) {
        if (!is_continuation(text[i])) return {};
        code = code << 6U | (static_cast<unsigned char>(text[i]) & 0x3FU);
    }
    const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (code < least[size] || code > 0x10FFFF || is_surrogate) return {};
    return {code, size};
}

// Would begin a line, move the cursor, or change the order of what stands around it.
bool is_harmful(char32_t c) noexcept {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x61C || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

void append_number(std::string& out, char32_t code) {
    static constexpr char digits[] = "0123456789abcdef";
    out += code < 0x100 ? "\\x" : "\\u";
    for (unsigned shift = code < 0x100 ? 8 : 16; shift > 0;) {
        shift -= 4;
        out += digits[code >> shift & 0xFU];
    }
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    for (std::size_t count = 0; !text.empty(); ++count) {
        if (count == most_characters) return out + "...";
        const character next = first_of(text);
        if (next.size == 0) {
            append_number(out, static_cast<unsigned char>(text[0]));
        } else if (is_harmful(next.code)) {
            append_number(out, next.code);
        } else {
            out += text.substr(0, next.size);
        }
        text.remove_prefix(next.size == 0 ? 1 : next.size);
    }
    return out;
}

}  // namespace amqtt
