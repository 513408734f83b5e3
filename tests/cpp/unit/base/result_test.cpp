#include "base/result.hpp"

#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace amqtt {
namespace {

TEST(Result, HoldsAValueOrAViolation) {
    const result<std::string> value("text");
    ASSERT_TRUE(value);
    EXPECT_EQ(*value, "text");
    const result<std::string> failure = malformed("too short");
    ASSERT_FALSE(failure);
    EXPECT_EQ(failure.error().code, reason_code::malformed_packet);
    EXPECT_STREQ(failure.error().what, "too short");
}

TEST(Result, ValueOfAViolationThrowsItsText) {
    const result<int> failure = protocol_error("second CONNECT");
    try {
        static_cast<void>(failure.value());
        FAIL() << "value() returned";
    } catch (const std::logic_error& error) {
        EXPECT_STREQ(error.what(), "second CONNECT");
    }
}

TEST(ProtocolViolation, ComparesByCode) {
    EXPECT_EQ(malformed("one"), malformed("two"));
    EXPECT_FALSE(malformed("one") == protocol_error("one"));
    EXPECT_EQ(protocol_violation{}.code, reason_code::malformed_packet);
}

}  // namespace
}  // namespace amqtt
