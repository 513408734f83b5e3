#include "base/reason_code.hpp"

#include <gtest/gtest.h>

namespace amqtt {
namespace {

TEST(ReasonCode, FailuresStartAt0x80) {
    for (int byte = 0; byte <= 0xFF; ++byte) {
        const auto code = static_cast<reason_code>(byte);
        EXPECT_EQ(to_byte(code), byte);
        EXPECT_EQ(is_failure(code), byte >= 0x80) << byte;
    }
}

}  // namespace
}  // namespace amqtt
