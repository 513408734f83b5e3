#include "policy/verdict_cache.hpp"

#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "support/heap.hpp"

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

// What was found lately is remembered apart, and must not be found when it is not true any more.
TEST(verdict_cache, does_not_remember_what_has_changed) {
    verdict_cache cache;
    const std::string c = "c";
    const auto answer = [&](duration now = 0s) -> std::optional<verdict> {
        const decision* found = cache.find(c, topic_action::publish, "t", now);
        return found ? std::optional(found->answer) : std::nullopt;
    };
    cache.store(c, topic_action::publish, "t", holding(10s), 0s);
    EXPECT_EQ(answer(), verdict::allow);
    EXPECT_EQ(answer(), verdict::allow);
    EXPECT_EQ(answer(11s), std::nullopt);
    cache.store(c, topic_action::publish, "t", holding(10s, verdict::deny), 0s);
    EXPECT_EQ(answer(), verdict::deny);
    cache.forget(c, "t");
    EXPECT_EQ(answer(), std::nullopt);
    cache.store(c, topic_action::publish, "t", holding(10s), 0s);
    EXPECT_EQ(answer(), verdict::allow);
    cache.forget(c);
    EXPECT_EQ(answer(), std::nullopt);
    cache.store(c, topic_action::publish, "t", holding(10s), 0s);
    EXPECT_EQ(answer(), verdict::allow);
    cache.forget_topic("t");
    EXPECT_EQ(answer(), std::nullopt);
    cache.store(c, topic_action::publish, "t", holding(10s), 0s);
    EXPECT_EQ(answer(), verdict::allow);
    cache.clear();
    EXPECT_EQ(answer(), std::nullopt);
    EXPECT_EQ(cache.find(c, topic_action::receive, "t", 0s), nullptr);
}

TEST(verdict_cache, is_bounded) {
    verdict_cache cache(3);
    for (int i = 0; i < 100; ++i) {
        cache.store("c", topic_action::publish, std::to_string(i), holding(10s), 0s);
        EXPECT_LE(cache.size(), 3U);
    }
    EXPECT_TRUE(cache.find("c", topic_action::publish, "99", 0s));
}

TEST(verdict_cache, is_bounded_in_what_it_really_takes) {
    constexpr std::size_t most = 4 * 1024 * 1024;
    verdict_cache cache(100'000, most);
    std::string topic(60'100, 't');
    EXPECT_FALSE(cache.find("c", topic_action::publish, topic, 0s));
    cache.store("c0", topic_action::publish, topic, holding(10s), 0s);  // its scratch has grown now
    cache.forget("c0");
    const auto before = heap_in_use();
    std::size_t largest = 0;
    for (int i = 0; i < 400; ++i) {
        topic = std::to_string(i);
        topic.append(60'000, 't');
        cache.store("c" + std::to_string(i % 7), topic_action::publish, topic, holding(10s), 0s);
        ASSERT_LE(cache.bytes(), most);
        if (cache.bytes() > largest) {
            largest = cache.bytes();
            ASSERT_NEAR(real_per_counted(before, largest), 1.0, 0.2);
        }
    }
    EXPECT_GT(largest, most * 9 / 10);
    for (int i = 0; i < 7; ++i)
        cache.forget("c" + std::to_string(i));
    EXPECT_EQ(cache.size(), 0U);
    EXPECT_LT(cache.bytes(), 4096U);  // the table of clients
}

TEST(verdict_cache, counts_small_entries_too) {
    verdict_cache cache(100'000, 16 * 1024 * 1024);
    const auto before = heap_in_use();
    for (int i = 0; i < 20'000; ++i) {
        cache.store("client " + std::to_string(i % 5'000), topic_action::publish,
                    "topic/of/some/length/" + std::to_string(i), holding(10s), 0s);
    }
    EXPECT_NEAR(real_per_counted(before, cache.bytes()), 1.0, 0.2);
    for (int i = 0; i < 5'000; ++i)
        cache.forget("client " + std::to_string(i));
    EXPECT_EQ(cache.size(), 0U);
    EXPECT_LT(cache.bytes(), 4096U);
}

}  // namespace
}  // namespace amqtt::test
