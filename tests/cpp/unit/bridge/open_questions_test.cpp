#include "bridge/open_questions.hpp"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "bridge/offer.hpp"

namespace amqtt {
namespace {

TEST(offer, is_taken_once) {
    const auto made = make_offer(std::string("content"));
    const auto taken = made->take();
    ASSERT_TRUE(taken);
    EXPECT_EQ(*taken, "content");
    EXPECT_FALSE(made->take());
}

TEST(offer, is_taken_by_one_of_two_threads) {
    for (int round = 0; round < 200; ++round) {
        const auto made = make_offer(round);
        std::unique_ptr<int> there;
        std::thread other([&] { there = made->take(); });
        const auto here = made->take();
        other.join();
        EXPECT_NE(here == nullptr, there == nullptr);
    }
}

TEST(open_questions, are_bounded_in_number) {
    open_questions open({2, 1000});
    open.add(1, 10);
    EXPECT_TRUE(open.has_room(10));
    open.add(2, 10);
    EXPECT_FALSE(open.has_room(10));
    EXPECT_TRUE(open.answered(1));
    EXPECT_FALSE(open.answered(1));
    EXPECT_TRUE(open.has_room(10));
}

TEST(open_questions, are_bounded_in_bytes) {
    open_questions open({100, 1000});
    open.add(1, 600);
    EXPECT_TRUE(open.has_room(400));
    EXPECT_FALSE(open.has_room(401));
    open.add(2, 400);
    EXPECT_EQ(open.bytes(), 1000U);
    open.answered(1);
    open.answered(7);  // nobody's
    EXPECT_EQ(open.bytes(), 400U);
    EXPECT_EQ(open.size(), 1U);
}

TEST(open_questions, are_withdrawn_until_they_are_looked_at) {
    open_questions open({100, 1000});
    const auto ask = [&](std::uint64_t ticket, bool is_first) {
        auto content = make_offer(std::string("content"));
        open.add(
            ticket, 10, [content] { return content->take() != nullptr; }, is_first);
        return content;
    };
    const auto unseen = ask(1, true);
    EXPECT_TRUE(open.withdraw(1));
    EXPECT_FALSE(unseen->take());
    const auto seen = ask(2, true);
    EXPECT_TRUE(seen->take());
    EXPECT_FALSE(open.withdraw(2));
    EXPECT_EQ(open.size(), 1U);  // until it is answered
    EXPECT_TRUE(open.answered(2));
    // What was asked about it before was seen.
    const auto second = ask(3, false);
    EXPECT_FALSE(open.withdraw(3));
    EXPECT_FALSE(second->take());
    EXPECT_EQ(open.size(), 0U);
    open.add(4, 10);  // cannot be taken back
    EXPECT_FALSE(open.withdraw(4));
    EXPECT_FALSE(open.withdraw(5));
    EXPECT_EQ(open.bytes(), 10U);
}

}  // namespace
}  // namespace amqtt
