#include "policy/verdict_cache.hpp"

#include <gtest/gtest.h>

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

decision holding(duration holds, verdict answer = verdict::allow) {
    return {answer, reason_code::not_authorized, "why", holds};
}

TEST(verdict_cache, answers_as_long_as_the_verdict_holds) {
    verdict_cache cache;
    cache.store("c", topic_action::publish, "t", holding(10s, verdict::deny), 100s);
    const auto found = cache.find("c", topic_action::publish, "t", 109s);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->answer, verdict::deny);
    EXPECT_EQ(found->reason, "why");
    EXPECT_FALSE(cache.find("c", topic_action::publish, "t", 110s));
    EXPECT_EQ(cache.size(), 0U);
}

TEST(verdict_cache, tells_clients_actions_and_topics_apart) {
    verdict_cache cache;
    cache.store("c", topic_action::publish, "t", holding(10s), 0s);
    EXPECT_FALSE(cache.find("d", topic_action::publish, "t", 0s));
    EXPECT_FALSE(cache.find("c", topic_action::receive, "t", 0s));
    EXPECT_FALSE(cache.find("c", topic_action::publish, "u", 0s));
}

TEST(verdict_cache, keeps_nothing_that_does_not_hold) {
    verdict_cache cache;
    cache.store("c", topic_action::publish, "t", holding(0s), 0s);
    EXPECT_EQ(cache.size(), 0U);
}

TEST(verdict_cache, forgets_what_it_is_told_to) {
    verdict_cache cache;
    for (const char* client : {"c", "d"}) {
        for (const char* topic : {"t", "u"})
            cache.store(client, topic_action::receive, topic, holding(10s), 0s);
    }
    cache.forget("c", "t");
    EXPECT_EQ(cache.size(), 3U);
    EXPECT_TRUE(cache.find("c", topic_action::receive, "u", 0s));
    cache.forget_topic("u");
    EXPECT_EQ(cache.size(), 1U);
    EXPECT_TRUE(cache.find("d", topic_action::receive, "t", 0s));
    cache.forget("d");
    EXPECT_EQ(cache.size(), 0U);
}

TEST(verdict_cache, is_bounded) {
    verdict_cache cache(3);
    for (int i = 0; i < 100; ++i) {
        cache.store("c", topic_action::publish, std::to_string(i), holding(10s), 0s);
        EXPECT_LE(cache.size(), 3U);
    }
    EXPECT_TRUE(cache.find("c", topic_action::publish, "99", 0s));
}

}  // namespace
}  // namespace amqtt::test
