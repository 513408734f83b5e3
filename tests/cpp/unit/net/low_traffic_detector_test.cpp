#include "net/low_traffic_detector.hpp"

#include <gtest/gtest.h>

namespace amqtt {
namespace {

using std::chrono::milliseconds;

// Notes one message every `apart`, `count` times, from `from` on.
void come(low_traffic_detector& traffic, int count, milliseconds apart, milliseconds from = {}) {
    for (int i = 0; i < count; ++i)
        traffic.came_alone(from + i * apart);
}

TEST(low_traffic_detector, settles_when_messages_go_on_coming_one_by_one) {
    low_traffic_detector traffic;
    come(traffic, 7, milliseconds(1), milliseconds(100));
    EXPECT_FALSE(traffic.has_settled());
    come(traffic, 1, milliseconds(1), milliseconds(107));
    EXPECT_TRUE(traffic.has_settled());
}

TEST(low_traffic_detector, does_not_settle_when_they_are_far_apart) {
    low_traffic_detector traffic;
    come(traffic, 100, milliseconds(51), milliseconds(100));
    EXPECT_FALSE(traffic.has_settled());
}

TEST(low_traffic_detector, does_not_settle_with_many_at_a_time) {
    low_traffic_detector traffic;
    come(traffic, 8, milliseconds(1), milliseconds(100));
    traffic.has_crowded();
    EXPECT_FALSE(traffic.has_settled());
    come(traffic, 7, milliseconds(1), milliseconds(110));
    EXPECT_FALSE(traffic.has_settled());
    come(traffic, 1, milliseconds(1), milliseconds(117));
    EXPECT_TRUE(traffic.has_settled());
}

}  // namespace
}  // namespace amqtt
