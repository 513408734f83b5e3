#include "broker/route_cache.hpp"

#include <string>

#include <gtest/gtest.h>

#include "base/by_text.hpp"

namespace amqtt::test {
namespace {

std::size_t hash_of(const std::string& topic) {
    return text_hash()(topic);
}

cached_topic& add(route_cache& cache, const std::string& topic) {
    return cache.add(hash_of(topic), topic);
}

cached_topic* find(const route_cache& cache, const std::string& topic) {
    return cache.find(hash_of(topic), topic);
}

TEST(route_cache, finds_what_was_added) {
    route_cache cache;
    EXPECT_EQ(find(cache, "a"), nullptr);
    EXPECT_EQ(find(cache, ""), nullptr);
    cached_topic& added = add(cache, "a");
    EXPECT_EQ(added.topic(), "a");
    EXPECT_TRUE(added.routes.empty());
    EXPECT_EQ(added.generation, 0U);
    EXPECT_EQ(find(cache, "a"), &added);
    EXPECT_EQ(find(cache, "b"), nullptr);
    EXPECT_EQ(cache.size(), 1U);
    EXPECT_EQ(cache.bytes(), added.bytes());
}

TEST(route_cache, tells_topics_of_one_hash_apart) {
    route_cache cache;
    cached_topic& a = cache.add(7, "a");
    cached_topic& b = cache.add(7, "b");
    EXPECT_EQ(cache.find(7, "a"), &a);
    EXPECT_EQ(cache.find(7, "b"), &b);
    EXPECT_EQ(cache.find(7, "c"), nullptr);
}

// Whatever the seed of their hash: this many times, as if with so many seeds.
TEST(route_cache, keeps_few_topics) {
    constexpr int topics = 6;
    for (int seed = 0; seed < 100; ++seed) {
        route_cache cache;
        const auto name = [&](int i) { return std::to_string(seed) + "/" + std::to_string(i); };
        for (int i = 0; i < topics; ++i)
            add(cache, name(i));
        for (int i = 0; i < topics; ++i)
            ASSERT_NE(find(cache, name(i)), nullptr) << name(i);
    }
}

TEST(route_cache, grows_and_keeps_nearly_all) {
    route_cache cache;
    constexpr int topics = 100'000;
    for (int i = 0; i < topics; ++i)
        add(cache, "topic/" + std::to_string(i));
    int found = 0;
    for (int i = 0; i < topics; ++i) {
        const std::string topic = "topic/" + std::to_string(i);
        const cached_topic* there = find(cache, topic);
        if (!there) continue;
        ++found;
        ASSERT_EQ(there->topic(), topic);
    }
    EXPECT_GT(found, topics * 9 / 10);
    EXPECT_EQ(cache.size(), static_cast<std::size_t>(found));
}

TEST(route_cache, has_no_more_topics_than_it_may) {
    route_cache cache;
    for (std::size_t i = 0; i < 2 * route_cache::most_topics; ++i) {
        const std::string topic = std::to_string(i);
        cached_topic& added = add(cache, topic);
        ASSERT_EQ(find(cache, topic), &added);
    }
    EXPECT_LE(cache.size(), route_cache::most_topics);
    EXPECT_GT(cache.size(), route_cache::most_topics / 2);
    EXPECT_LE(cache.bytes(), route_cache::most_bytes);
}

TEST(route_cache, forgets_topics_when_others_have_many_routes) {
    route_cache cache;
    cached_topic& kept = add(cache, "kept");
    for (int i = 0; i < 5000; ++i) {
        cached_topic& added = add(cache, std::to_string(i));
        added.routes.routes.resize(1000);
        cache.changed(added);
        ASSERT_EQ(find(cache, std::to_string(i)), &added);
        ASSERT_LE(cache.bytes(), route_cache::most_bytes);
    }
    EXPECT_LT(cache.size(), 1100U);
    EXPECT_NE(find(cache, "kept"), &kept);
}

TEST(route_cache, keeps_a_topic_that_is_too_large_by_itself) {
    route_cache cache;
    add(cache, "other");
    cached_topic& large = add(cache, "large");
    large.routes.routes.resize(route_cache::most_bytes / sizeof(route) + 1);
    cache.changed(large);
    EXPECT_EQ(find(cache, "large"), &large);
    EXPECT_EQ(cache.size(), 1U);
    large.routes.routes.clear();
    large.routes.routes.shrink_to_fit();
    cache.changed(large);
    EXPECT_LT(cache.bytes(), 1000U);
}

TEST(route_cache, prefetches_what_is_there_or_not) {
    route_cache cache;
    cache.prefetch_line(1);
    cache.prefetch_topic(1);
    cache.add(1, "a");
    cache.prefetch_topic(1);
    EXPECT_NE(cache.find(1, "a"), nullptr);
}

}  // namespace
}  // namespace amqtt::test
