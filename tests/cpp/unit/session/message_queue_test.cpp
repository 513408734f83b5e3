#include "session/message_queue.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/heap.hpp"

namespace amqtt {
namespace {

// A message whose texts have that many bytes.
queued_message of_size(std::size_t bytes, qos level = qos::at_most_once, bool retain = false,
                       std::optional<instant> until = {}) {
    const std::string payload(bytes - 1, 'x');
    return {message::create("t", as_bytes(payload), level, retain, {}, until), level, retain};
}

// What it counts for.
constexpr std::size_t cost(std::size_t bytes) {
    return message_queue::cost_of(bytes);
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
    EXPECT_EQ(queue.bytes(), 100 * cost(10));
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
    EXPECT_EQ(queue.bytes(), 3 * cost(10));
    EXPECT_EQ(queue.pop_front().content, first.content);
    EXPECT_TRUE(queue.push(of_size(10)));
}

TEST(MessageQueue, DropsTheNewestAtTheBoundInBytes) {
    message_queue queue({.messages = 100, .bytes = cost(600) + cost(400)});
    EXPECT_TRUE(queue.push(of_size(600)));
    EXPECT_FALSE(queue.push(of_size(416)));
    EXPECT_TRUE(queue.push(of_size(400)));
    EXPECT_EQ(queue.bytes(), cost(600) + cost(400));
    EXPECT_FALSE(queue.push(of_size(1)));
    queue.pop_front();
    EXPECT_EQ(queue.bytes(), cost(400));
    EXPECT_TRUE(queue.push(of_size(600)));
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
    EXPECT_EQ(queue.bytes(), 100 * cost(20));
    EXPECT_FALSE(queue.push(of_size(1)));
}

TEST(MessageQueue, ClearForgetsEverything) {
    message_queue queue({.messages = 2, .bytes = 1000});
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
    constexpr queue_limits limits{.messages = 50, .bytes = 6000};
    message_queue queue(limits);
    std::deque<message_ptr> model;
    std::size_t bytes = 0;
    std::mt19937 random(1);
    for (int round = 0; round < 20'000; ++round) {
        const bool draining = round % 500 > 300;
        if (random() % 10 < (draining ? 3U : 6U)) {
            const queued_message m = of_size(1 + random() % 100);
            const bool fits = model.size() < limits.messages &&
                              (model.empty() || bytes + cost(m.content->size()) <= limits.bytes);
            ASSERT_EQ(queue.push(m), fits);
            if (!fits) continue;
            model.push_back(m.content);
            bytes += cost(m.content->size());
        } else if (!model.empty()) {
            ASSERT_EQ(queue.pop_front().content, model.front());
            bytes -= cost(model.front()->size());
            model.pop_front();
        }
        ASSERT_EQ(queue.size(), model.size());
        ASSERT_EQ(queue.bytes(), bytes);
    }
}

// -- messages that expire

TEST(MessageQueue, RemovesWhatHasExpired) {
    message_queue queue({});
    const auto until = [](int second) {
        return of_size(10, qos::at_least_once, false, instant(std::chrono::seconds(second)));
    };
    for (const int second : {30, 10, 0, 20, 10}) {
        ASSERT_TRUE(queue.push(second == 0 ? of_size(10) : until(second)));
    }
    std::size_t dropped = 0;
    const auto expire = [&](int second) {
        queue.expire(std::chrono::seconds(second), [&](const queued_message&) { ++dropped; });
    };
    EXPECT_EQ(queue.next_expiry(), std::chrono::seconds(10));
    expire(9);
    EXPECT_EQ(dropped, 0U);
    expire(10);
    EXPECT_EQ(dropped, 2U);
    EXPECT_EQ(queue.next_expiry(), std::chrono::seconds(20));
    EXPECT_EQ(queue.bytes(), 3 * cost(10));
    EXPECT_EQ(*queue.front().content->expires_at(), std::chrono::seconds(30));
    expire(30);
    EXPECT_EQ(queue.size(), 1U);
    EXPECT_FALSE(queue.front().content->expires_at());
    EXPECT_EQ(queue.next_expiry(), instant::max());
}

// -- what all queues take

TEST(Backlog, CountsAMessageOnce) {
    backlog total(0);
    {
        message_queue one({}, &total);
        message_queue other({}, &total);
        const queued_message m = of_size(100'000);
        one.push(m);
        const std::size_t first = total.bytes();
        EXPECT_GT(first, 100'000U);
        other.push(m);
        EXPECT_LT(total.bytes(), first + 1000);
        one.pop_front();
        EXPECT_GT(total.bytes(), 100'000U);
        other.clear();
        EXPECT_LT(total.bytes(), 1000U);
    }
    EXPECT_EQ(total.bytes(), 0U);
}

TEST(Backlog, KeepsTheLastPartForThoseThatHaveLittle) {
    backlog total(800'000);
    message_queue greedy({}, &total);
    while (greedy.push(of_size(10'000))) {
    }
    EXPECT_LE(total.bytes(), 700'000U);
    EXPECT_GT(total.bytes(), 680'000U);
    message_queue modest({}, &total);
    EXPECT_TRUE(modest.push(of_size(10'000)));
    EXPECT_FALSE(modest.push(of_size(10'000)));
    EXPECT_FALSE(greedy.push(of_size(1)));
    EXPECT_LE(total.bytes(), 800'000U);
}

TEST(Backlog, LetsOneMessageOfAnySizePass) {
    backlog total(100'000);
    message_queue queue({}, &total);
    EXPECT_TRUE(queue.push(of_size(1'000'000)));
    EXPECT_FALSE(queue.push(of_size(1'000'000)));
    EXPECT_FALSE(queue.push(of_size(1)));
    queue.pop_front();
    EXPECT_TRUE(queue.push(of_size(1'000'000)));
}

TEST(Backlog, CountsWhatQueuesReallyTake) {
    for (const auto& [queues, size] : {std::pair(50, 9), std::pair(1, 9), std::pair(3, 5000)}) {
        backlog total(0);
        std::vector<std::unique_ptr<message_queue>> all;
        const auto before = test::heap_in_use();
        for (int i = 0; i < queues; ++i)
            all.push_back(std::make_unique<message_queue>(queue_limits{}, &total));
        for (int i = 0; i < 3000; ++i) {
            const queued_message m = of_size(static_cast<std::size_t>(size));
            for (const auto& queue : all)
                queue->push(m);
        }
        EXPECT_NEAR(test::real_per_counted(before, total.bytes()), 1.0, 0.1);
    }
}

TEST(Backlog, GivesMemoryBackWhenLittleIsLeft) {
    backlog total(0);
    message_queue queue({}, &total);
    for (int i = 0; i < 100'000; ++i)
        queue.push(of_size(9));
    while (queue.size() > 1)
        queue.pop_front();
    EXPECT_LT(total.bytes(), 200'000U);
    EXPECT_EQ(queue.pop_front().content->size(), 9U);
}

}  // namespace
}  // namespace amqtt
