#include "session/message_queue.hpp"

#include <deque>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace amqtt {
namespace {

// A message that counts for that many bytes.
queued_message of_size(std::size_t bytes, qos level = qos::at_most_once, bool retain = false) {
    const std::string payload(bytes - 1, 'x');
    return {message::create("t", as_bytes(payload), level, retain), level, retain};
}

TEST(MessageQueue, StartsEmpty) {
    const message_queue queue({});
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.size(), 0U);
    EXPECT_EQ(queue.bytes(), 0U);
}

TEST(MessageQueue, IsFirstInFirstOut) {
    message_queue queue({});
    std::vector<message_ptr> sent;
    for (int i = 0; i < 100; ++i) {
        const queued_message m = of_size(10, qos::at_least_once, i % 2 == 0);
        sent.push_back(m.content);
        EXPECT_TRUE(queue.push(m));
    }
    EXPECT_EQ(queue.size(), 100U);
    EXPECT_EQ(queue.bytes(), 1000U);
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(queue.front().content, sent[static_cast<std::size_t>(i)]);
        const queued_message m = queue.pop_front();
        EXPECT_EQ(m.content, sent[static_cast<std::size_t>(i)]);
        EXPECT_EQ(m.level, qos::at_least_once);
        EXPECT_EQ(m.retain, i % 2 == 0);
    }
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.bytes(), 0U);
}

TEST(MessageQueue, DropsTheNewestAtTheBoundInMessages) {
    message_queue queue({.messages = 3, .bytes = 1000});
    const queued_message first = of_size(10);
    EXPECT_TRUE(queue.push(first));
    EXPECT_TRUE(queue.push(of_size(10)));
    EXPECT_TRUE(queue.push(of_size(10)));
    EXPECT_FALSE(queue.push(of_size(10)));
    EXPECT_EQ(queue.size(), 3U);
    EXPECT_EQ(queue.bytes(), 30U);
    EXPECT_EQ(queue.pop_front().content, first.content);
    EXPECT_TRUE(queue.push(of_size(10)));
}

TEST(MessageQueue, DropsTheNewestAtTheBoundInBytes) {
    message_queue queue({.messages = 100, .bytes = 100});
    EXPECT_TRUE(queue.push(of_size(60)));
    EXPECT_FALSE(queue.push(of_size(41)));
    EXPECT_TRUE(queue.push(of_size(40)));
    EXPECT_EQ(queue.bytes(), 100U);
    EXPECT_FALSE(queue.push(of_size(1)));
    queue.pop_front();
    EXPECT_EQ(queue.bytes(), 40U);
    EXPECT_TRUE(queue.push(of_size(60)));
}

TEST(MessageQueue, TakesOneMessageHoweverLarge) {
    message_queue queue({.messages = 100, .bytes = 100});
    EXPECT_TRUE(queue.push(of_size(5000)));
    EXPECT_FALSE(queue.push(of_size(1)));
    EXPECT_FALSE(queue.push(of_size(5000)));
    EXPECT_EQ(queue.pop_front().content->size(), 5000U);
    EXPECT_TRUE(queue.push(of_size(5000)));
}

TEST(MessageQueue, TakesNothingWithABoundOfZeroMessages) {
    message_queue queue({.messages = 0, .bytes = 100});
    EXPECT_FALSE(queue.push(of_size(1)));
    queue.push_unbounded(of_size(1));
    EXPECT_EQ(queue.size(), 1U);
}

TEST(MessageQueue, PushUnboundedIgnoresTheBounds) {
    message_queue queue({.messages = 1, .bytes = 10});
    for (int i = 0; i < 100; ++i)
        queue.push_unbounded(of_size(20));
    EXPECT_EQ(queue.size(), 100U);
    EXPECT_EQ(queue.bytes(), 2000U);
    EXPECT_FALSE(queue.push(of_size(1)));
}

TEST(MessageQueue, ClearForgetsEverything) {
    message_queue queue({.messages = 2, .bytes = 100});
    queue.push(of_size(60));
    queue.push(of_size(40));
    queue.clear();
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.bytes(), 0U);
    EXPECT_TRUE(queue.push(of_size(100)));
    EXPECT_EQ(queue.front().content->size(), 100U);
}

TEST(MessageQueue, WorksAgainAfterALongBacklog) {
    message_queue queue({});
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 3000; ++i)
            ASSERT_TRUE(queue.push(of_size(5)));
        while (!queue.empty())
            queue.pop_front();
        EXPECT_EQ(queue.bytes(), 0U);
    }
}

TEST(MessageQueue, BehavesLikeADequeUnderRandomUse) {
    constexpr queue_limits limits{.messages = 50, .bytes = 2000};
    message_queue queue(limits);
    std::deque<message_ptr> model;
    std::size_t bytes = 0;
    std::mt19937 random(1);
    for (int round = 0; round < 20'000; ++round) {
        const bool draining = round % 500 > 300;
        if (random() % 10 < (draining ? 3U : 6U)) {
            const queued_message m = of_size(1 + random() % 100);
            const bool fits = model.size() < limits.messages &&
                              (model.empty() || bytes + m.content->size() <= limits.bytes);
            ASSERT_EQ(queue.push(m), fits);
            if (!fits) continue;
            model.push_back(m.content);
            bytes += m.content->size();
        } else if (!model.empty()) {
            ASSERT_EQ(queue.pop_front().content, model.front());
            bytes -= model.front()->size();
            model.pop_front();
        }
        ASSERT_EQ(queue.size(), model.size());
        ASSERT_EQ(queue.bytes(), bytes);
    }
}

}  // namespace
}  // namespace amqtt
