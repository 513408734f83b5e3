#include "base/log.hpp"

#include <gtest/gtest.h>

namespace amqtt {
namespace {

TEST(Printable, LeavesTextAlone) {
    EXPECT_EQ(printable("meter-7"), "meter-7");
    EXPECT_EQ(printable("Zähler \xE6\xB0\xB4"), "Zähler \xE6\xB0\xB4");
    EXPECT_EQ(printable(""), "");
    EXPECT_EQ(printable("\xC2\xA0"), "\xC2\xA0");  // the first one that is no control character
}

TEST(Printable, ShowsControlCharactersAsNumbers) {
    EXPECT_EQ(printable("a\r\nWARNING b"), "a\\x0d\\x0aWARNING b");
    EXPECT_EQ(printable("\x1B[2J\x7F"), "\\x1b[2J\\x7f");
    EXPECT_EQ(printable("\xC2\x9B"
                        "2J"),
              "\\x9b2J");
}

TEST(Printable, ShowsSeparatorsOfLinesAndMarksOfDirectionAsNumbers) {
    EXPECT_EQ(printable("a\xE2\x80\xA8"
                        "b\xE2\x80\xA9"),
              "a\\u2028b\\u2029");
    EXPECT_EQ(printable("a\xE2\x80\xAE"
                        "b\xE2\x81\xA6\xEF\xBB\xBF\xD8\x9C"),
              "a\\u202eb\\u2066\\ufeff\\u061c");
    // Joined pictures are one character to who reads them.
    EXPECT_EQ(printable("\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x94\xA7"),
              "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x94\xA7");
}

TEST(Printable, ShowsBytesThatAreNotUtf8AsNumbers) {
    EXPECT_EQ(printable("a\xFF\xC3"), "a\\xff\\xc3");
    EXPECT_EQ(printable("\x80\xC0\xAF"), "\\x80\\xc0\\xaf");
    EXPECT_EQ(printable("\xED\xA0\x80"), "\\xed\\xa0\\x80");           // a surrogate
    EXPECT_EQ(printable("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // behind the last
    EXPECT_EQ(printable("\xE6\xB0"), "\\xe6\\xb0");
    EXPECT_EQ(printable(std::string_view("\0a", 2)), "\\x00a");
}

TEST(Printable, CutsLongText) {
    EXPECT_EQ(printable(std::string(256, 'x')), std::string(256, 'x'));
    EXPECT_EQ(printable(std::string(65'535, 'x')), std::string(256, 'x') + "...");
    // Not in the middle of a character.
    EXPECT_EQ(printable(std::string(255, 'x') + "\xC3\xA4\xC3\xA4"),
              std::string(255, 'x') + "\xC3\xA4...");
    EXPECT_EQ(printable(std::string(65'535, '\xFF')).size(), 256 * 4 + 3);
}

}  // namespace
}  // namespace amqtt
