#include "base/qos.hpp"

#include <gtest/gtest.h>

namespace amqtt {
namespace {

TEST(Qos, DeliveryTakesTheLowerOfPublishedAndGranted) {
    for (std::uint8_t published = 0; published <= 2; ++published) {
        for (std::uint8_t granted = 0; granted <= 2; ++granted) {
            const qos level = lower_of(static_cast<qos>(published), static_cast<qos>(granted));
            EXPECT_EQ(to_byte(level), published < granted ? published : granted);
        }
    }
}

}  // namespace
}  // namespace amqtt
