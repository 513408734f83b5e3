#include "base/message.hpp"

#include <array>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace amqtt {
namespace {

TEST(Message, KeepsWhatItWasCreatedFrom) {
    const auto m = message::create("a/b", as_bytes("payload"), qos::exactly_once, true);
    EXPECT_EQ(m->topic(), "a/b");
    EXPECT_EQ(as_text(m->payload()), "payload");
    EXPECT_EQ(m->level(), qos::exactly_once);
    EXPECT_TRUE(m->retain());
    EXPECT_EQ(m->size(), 10U);
}

TEST(Message, OwnsCopiesOfTopicAndPayload) {
    std::string topic = "topic";
    std::string payload(100'000, 'x');
    const auto m = message::create(topic, as_bytes(payload), qos::at_most_once, false);
    topic.assign(topic.size(), '-');
    payload.assign(payload.size(), '-');
    EXPECT_EQ(m->topic(), "topic");
    EXPECT_EQ(as_text(m->payload()), std::string(100'000, 'x'));
}

TEST(Message, KeepsItsPublisherBehindEverythingElse) {
    std::string publisher(65'535, 'p');
    const auto m = message::create("t", as_bytes("x"), qos::at_most_once, true, as_bytes("props"),
                                   std::nullopt, publisher);
    publisher.assign(publisher.size(), '-');
    EXPECT_EQ(m->publisher(), std::string(65'535, 'p'));
    EXPECT_EQ(as_text(m->properties()), "props");
    // A client with a long identifier must not get more past a bound in bytes than others.
    EXPECT_EQ(m->size(), 7U + 65'535U);
    EXPECT_EQ(message::create("t", {}, qos::at_most_once, true)->publisher(), "");
}

TEST(Message, KeepsPropertiesBehindThePayload) {
    const auto m =
        message::create("t", as_bytes("payload"), qos::at_most_once, false, as_bytes("properties"));
    EXPECT_EQ(m->topic(), "t");
    EXPECT_EQ(as_text(m->payload()), "payload");
    EXPECT_EQ(as_text(m->properties()), "properties");
    EXPECT_EQ(m->size(), 18U);
    EXPECT_TRUE(message::create("t", {}, qos::at_most_once, false)->properties().empty());
}

TEST(Message, ExpiresAtItsDeadline) {
    constexpr instant deadline = std::chrono::seconds(10);
    const auto m = message::create("t", {}, qos::at_most_once, false, {}, deadline);
    EXPECT_EQ(m->expires_at(), deadline);
    EXPECT_FALSE(m->is_expired(deadline - duration(1)));
    EXPECT_TRUE(m->is_expired(deadline));
    EXPECT_TRUE(m->is_expired(deadline + duration(1)));
    const auto lasting = message::create("t", {}, qos::at_most_once, false);
    EXPECT_FALSE(lasting->expires_at());
    EXPECT_FALSE(lasting->is_expired(instant::max()));
}

TEST(Message, MayBeEmpty) {
    const auto m = message::create({}, {}, qos::at_most_once, false);
    EXPECT_TRUE(m->topic().empty());
    EXPECT_TRUE(m->payload().empty());
    EXPECT_EQ(m->size(), 0U);
}

TEST(Message, KeepsAnyBytes) {
    std::array<std::uint8_t, 256> all{};
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = static_cast<std::uint8_t>(i);
    const auto m = message::create("t", all, qos::at_least_once, false);
    EXPECT_TRUE(std::equal(all.begin(), all.end(), m->payload().begin(), m->payload().end()));
}

TEST(Message, LivesUntilTheLastReferenceIsGone) {
    message_ptr last;
    {
        const auto first = message::create("t", as_bytes("shared"), qos::at_most_once, false);
        const message_ptr second = first;
        EXPECT_EQ(second->payload().data(), first->payload().data());
        last = second;
    }
    EXPECT_EQ(as_text(last->payload()), "shared");
}

TEST(Message, ReferencesMayBeTakenAndDroppedByManyThreads) {
    auto m = message::create("t", as_bytes("shared"), qos::at_most_once, false);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([mine = m] {
            std::vector<message_ptr> held;
            for (int round = 0; round < 20'000; ++round) {
                held.push_back(mine);
                if (held.size() == 100) held.clear();
            }
            EXPECT_EQ(as_text(mine->payload()), "shared");
        });
    }
    m.reset();  // one of the threads frees it
    for (std::thread& thread : threads)
        thread.join();
}

}  // namespace
}  // namespace amqtt
