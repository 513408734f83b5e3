// The check of UTF-8 agrees with one that takes code points apart, as the standard puts it.
#include "codec/utf8.hpp"

#include "input.hpp"

namespace {

using namespace amqtt;

// Takes a code point off the front: false when it is not well-formed (Unicode, table 3-7).
bool take_code_point(bytes_view& text, std::uint32_t& point) {
    const std::uint8_t first = text.front();
    std::size_t more = 0;
    std::uint32_t lowest = 0;
    if (first < 0x80) {
        point = first;
    } else if (first >> 5U == 0b110U) {
        more = 1, lowest = 0x80, point = first & 0x1FU;
    } else if (first >> 4U == 0b1110U) {
        more = 2, lowest = 0x800, point = first & 0x0FU;
    } else if (first >> 3U == 0b11110U) {
        more = 3, lowest = 0x10000, point = first & 0x07U;
    } else {
        return false;
    }
    if (text.size() <= more) return false;
    for (std::size_t i = 1; i <= more; ++i) {
        if (text[i] >> 6U != 0b10U) return false;
        point = point << 6U | (text[i] & 0x3FU);
    }
    text = text.subspan(more + 1);
    const bool is_surrogate = point >= 0xD800 && point <= 0xDFFF;
    return point >= lowest && point <= 0x10FFFF && !is_surrogate;
}

bool is_text(bytes_view text) {
    std::uint32_t point = 0;
    while (!text.empty()) {
        if (!take_code_point(text, point) || point == 0) return false;
    }
    return true;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const bytes_view text(data, size);
    fuzz::check(is_valid_utf8(as_text(text)) == is_text(text));
    return 0;
}
