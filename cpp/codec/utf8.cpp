#include "codec/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace amqtt {
namespace {

constexpr std::uint64_t every_byte(std::uint8_t value) noexcept {
    return 0x0101010101010101ULL * value;
}

// True when all eight bytes are in 0x01..0x7F.
bool is_plain_ascii(std::uint64_t word) noexcept {
    const std::uint64_t has_zero = (word - every_byte(0x01)) & ~word;
    return ((word | has_zero) & every_byte(0x80)) == 0;
}

struct sequence_rule {
    std::size_t size;         // bytes of the sequence, 0 if the lead byte is not allowed
    std::uint8_t second_low;  // range of the second byte; the others are 0x80..0xBF
    std::uint8_t second_high;
};

sequence_rule rule_for(std::uint8_t lead) noexcept {
    if (lead >= 0xC2 && lead <= 0xDF) return {2, 0x80, 0xBF};
    if (lead == 0xE0) return {3, 0xA0, 0xBF};
    if (lead == 0xED) return {3, 0x80, 0x9F};  // no surrogates
    if (lead >= 0xE1 && lead <= 0xEF) return {3, 0x80, 0xBF};
    if (lead == 0xF0) return {4, 0x90, 0xBF};
    if (lead >= 0xF1 && lead <= 0xF3) return {4, 0x80, 0xBF};
    if (lead == 0xF4) return {4, 0x80, 0x8F};
    return {0, 0, 0};
}

// Length of the multi-byte sequence at the start of text, 0 if it is ill-formed.
std::size_t sequence_length(std::string_view text) noexcept {
    const sequence_rule rule = rule_for(static_cast<std::uint8_t>(text[0]));
    if (rule.size == 0 || text.size() < rule.size) return 0;
    const auto second = static_cast<std::uint8_t>(text[1]);
    if (second < rule.second_low || second > rule.second_high) return 0;
    for (std::size_t i = 2; i < rule.size; ++i) {
        if ((static_cast<std::uint8_t>(text[i]) & 0xC0) != 0x80) return 0;
    }
    return rule.size;
}

// How many bytes at the start of text are in 0x01..0x7F.
std::size_t plain_ascii_size(std::string_view text) noexcept {
    std::size_t size = 0;
    std::uint64_t word = 0;
    for (; text.size() - size >= sizeof word; size += sizeof word) {
        std::memcpy(&word, text.data() + size, sizeof word);
        if (!is_plain_ascii(word)) break;
    }
    while (size < text.size() && static_cast<signed char>(text[size]) > 0)
        ++size;
    return size;
}

}  // namespace

bool is_valid_utf8(std::string_view text) noexcept {
    while (true) {
        text.remove_prefix(plain_ascii_size(text));
        if (text.empty()) return true;
        if (text[0] == 0) return false;
        const std::size_t size = sequence_length(text);
        if (size == 0) return false;
        text.remove_prefix(size);
    }
}

}  // namespace amqtt
