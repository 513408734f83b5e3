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

TEST(Printable, CutsLongText) {
    EXPECT_EQ(printable(std::string(100, 'x')), std::string(100, 'x'));
    EXPECT_EQ(printable(std::string(65'535, 'x')), std::string(100, 'x') + "...");
    // Not in the middle of a character.
    EXPECT_EQ(printable(std::string(99, 'x') + "\xC3\xA4\xC3\xA4"), std::string(99, 'x') + "...");
}

}  // namespace
}  // namespace amqtt
