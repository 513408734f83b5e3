#include "session/subscription_ids.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace amqtt {
namespace {

TEST(SubscriptionIds, MayBeAbsent) {
    EXPECT_TRUE(view_of(nullptr).empty());
    const subscription_ids ids =
        std::make_shared<const std::vector<std::uint32_t>>(std::vector<std::uint32_t>{2, 1, 2});
    EXPECT_THAT(view_of(ids), testing::ElementsAre(2, 1, 2));
}

}  // namespace
}  // namespace amqtt
