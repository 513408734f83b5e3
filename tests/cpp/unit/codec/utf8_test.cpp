#include "codec/utf8.hpp"

#include <cstdint>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "support/hex.hpp"

namespace amqtt {
namespace {

using test::hex;

struct text_case {
    const char* name;
    const char* encoded;
};

constexpr text_case well_formed[] = {
    {"U+0001", "01"},
    {"U+001F", "1F"},
    {"U+007F", "7F"},
    {"U+0080", "C2 80"},
    {"U+009F", "C2 9F"},
    {"U+07FF", "DF BF"},
    {"U+0800", "E0 A0 80"},
    {"U+0FFF", "E0 BF BF"},
    {"U+1000", "E1 80 80"},
    {"U+CFFF", "EC BF BF"},
    {"U+D000", "ED 80 80"},
    {"U+D7FF, before the surrogates", "ED 9F BF"},
    {"U+E000, behind the surrogates", "EE 80 80"},
    {"U+FDD0, a noncharacter", "EF B7 90"},
    {"U+FEFF, the byte order mark", "EF BB BF"},
    {"U+FFFF", "EF BF BF"},
    {"U+10000", "F0 90 80 80"},
    {"U+3FFFF", "F0 BF BF BF"},
    {"U+40000", "F1 80 80 80"},
    {"U+FFFFF", "F3 BF BF BF"},
    {"U+100000", "F4 80 80 80"},
    {"U+10FFFF", "F4 8F BF BF"},
};

constexpr text_case ill_formed[] = {
    {"U+0000", "00"},
    {"continuation alone", "80"},
    {"last continuation alone", "BF"},
    {"overlong U+0000", "C0 80"},
    {"overlong U+002F", "C0 AF"},
    {"overlong U+007F", "C1 BF"},
    {"overlong U+0000 in three bytes", "E0 80 80"},
    {"overlong U+07FF", "E0 9F BF"},
    {"overlong U+0000 in four bytes", "F0 80 80 80"},
    {"overlong U+FFFF", "F0 8F BF BF"},
    {"surrogate U+D800", "ED A0 80"},
    {"surrogate U+DBFF", "ED AF BF"},
    {"surrogate U+DC00", "ED B0 80"},
    {"surrogate U+DFFF", "ED BF BF"},
    {"surrogate pair", "ED A0 80 ED B0 80"},
    {"U+110000", "F4 90 80 80"},
    {"U+140000", "F5 80 80 80"},
    {"U+1FFFFF", "F7 BF BF BF"},
    {"five bytes", "F8 88 80 80 80"},
    {"six bytes", "FC 84 80 80 80 80"},
    {"FE", "FE"},
    {"FF", "FF"},
    {"two bytes cut", "C2"},
    {"three bytes cut to one", "E1"},
    {"three bytes cut to two", "E1 80"},
    {"four bytes cut to one", "F1"},
    {"four bytes cut to two", "F1 80"},
    {"four bytes cut to three", "F1 80 80"},
    {"no continuation of two", "C2 41"},
    {"no second byte of three", "E1 41 80"},
    {"no third byte of three", "E1 80 41"},
    {"no second byte of four", "F1 41 80 80"},
    {"no third byte of four", "F1 80 41 80"},
    {"no fourth byte of four", "F1 80 80 41"},
    {"lead behind lead", "C2 C2 80"},
    {"continuation too many", "C2 80 80"},
};

// The verdict on text in memory of exactly its size, so that reading too far shows.
bool verdict(std::string_view text) {
    const auto exact = std::make_unique<char[]>(text.size());
    std::copy(text.begin(), text.end(), exact.get());
    return is_valid_utf8({exact.get(), text.size()});
}

// Puts the sequence at every place relative to the eight bytes that are looked at together.
void expect_everywhere(const text_case& c, bool valid) {
    SCOPED_TRACE(c.name);
    const auto bytes = hex(c.encoded);
    const std::string sequence(bytes.begin(), bytes.end());
    for (std::size_t before = 0; before <= 17; ++before) {
        for (std::size_t behind = 0; behind <= 17; ++behind) {
            const std::string text = std::string(before, 'a') + sequence + std::string(behind, '~');
            ASSERT_EQ(verdict(text), valid) << before << " before, " << behind << " behind";
        }
    }
}

TEST(Utf8, AcceptsTheEmptyText) {
    EXPECT_TRUE(is_valid_utf8({}));
}

TEST(Utf8, AcceptsWellFormedTextAtEveryOffset) {
    for (const text_case& c : well_formed)
        expect_everywhere(c, true);
}

// 3.1.1:MQTT-1.5.3-1@server 3.1.1:MQTT-1.5.3-2@server
// 5.0:MQTT-1.5.4-1@server 5.0:MQTT-1.5.4-2@server
TEST(Utf8, RejectsIllFormedTextAtEveryOffset) {
    for (const text_case& c : ill_formed)
        expect_everywhere(c, false);
}

TEST(Utf8, AcceptsMixedText) {
    EXPECT_TRUE(
        verdict("\xEF\xBB\xBF"
                "a/\xC3\xA4\xE2\x82\xAC/\xF0\x9F\x98\x80 plain ascii behind"));
}

TEST(Utf8, FindsOneBadByteInALongText) {
    std::string text(65'535, 'x');
    EXPECT_TRUE(verdict(text));
    for (const std::size_t at : {0U, 1U, 4096U, 65'528U, 65'534U}) {
        for (const char bad : {'\x00', '\x80', '\xFF'}) {
            text[at] = bad;
            EXPECT_FALSE(verdict(text)) << at;
        }
        text[at] = 'x';
    }
}

// Decodes by the arithmetic of RFC 3629 instead of by ranges of bytes.
bool reference(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<std::uint8_t>(text[i]);
        const std::size_t size = lead < 0x80   ? 1
                                 : lead < 0xC0 ? 0
                                 : lead < 0xE0 ? 2
                                 : lead < 0xF0 ? 3
                                 : lead < 0xF8 ? 4
                                               : 0;
        if (size == 0 || i + size > text.size()) return false;
        std::uint32_t point = size == 1 ? lead : lead & (0x7FU >> size);
        for (std::size_t k = 1; k < size; ++k) {
            const auto byte = static_cast<std::uint8_t>(text[i + k]);
            if ((byte >> 6) != 2) return false;
            point = point << 6 | (byte & 0x3FU);
        }
        const std::uint32_t smallest[] = {0, 1, 0x80, 0x800, 0x10000};
        if (point < smallest[size] || point > 0x10FFFF) return false;
        if (point >= 0xD800 && point <= 0xDFFF) return false;
        i += size;
    }
    return true;
}

TEST(Utf8, AgreesWithTheDefinitionOnAllShortSequences) {
    const auto check = [](std::string_view text) {
        ASSERT_EQ(is_valid_utf8(text), reference(text)) << testing::PrintToString(text);
    };
    const int edges[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xFF};
    for (int first = 0; first <= 0xFF; ++first) {
        char text[] = {static_cast<char>(first), 0, 0, 0};
        check({text, 1});
        for (int second = 0; second <= 0xFF; ++second) {
            text[1] = static_cast<char>(second);
            check({text, 2});
            for (const int third : edges) {
                text[2] = static_cast<char>(third);
                check({text, 3});
                for (const int fourth : edges) {
                    text[3] = static_cast<char>(fourth);
                    check({text, 4});
                }
            }
        }
    }
}

}  // namespace
}  // namespace amqtt
