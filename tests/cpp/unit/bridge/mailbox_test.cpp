#include "bridge/mailbox.hpp"

#include <array>
#include <atomic>
#include <limits>
#include <memory>
#include <poll.h>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bridge/notifier.hpp"

namespace amqtt {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::size_t all = std::numeric_limits<std::size_t>::max();

class Mailbox : public testing::Test {
  protected:
    bool take(std::size_t most) {
        into.clear();
        return box.take(into, most, [this] { ++refills; });
    }

    int wakes = 0;
    int refills = 0;
    std::vector<int> into;
    mailbox<int> box{[this] { ++wakes; }, {.items = 4, .bytes = 100}};
};

TEST_F(Mailbox, StartsEmpty) {
    EXPECT_FALSE(take(all));
    EXPECT_THAT(into, IsEmpty());
    EXPECT_EQ(wakes, 0);
    EXPECT_EQ(box.dropped(), 0U);
    EXPECT_FALSE(box.is_over_half_full());
}

TEST_F(Mailbox, WakesOnceABatch) {
    for (const int item : {1, 2, 3})
        EXPECT_TRUE(box.push(item));
    EXPECT_EQ(wakes, 1);
    EXPECT_FALSE(take(all));
    EXPECT_THAT(into, ElementsAre(1, 2, 3));
    EXPECT_TRUE(box.push(4));
    EXPECT_EQ(wakes, 2);
}

TEST_F(Mailbox, WakesOnceForManyAtOnce) {
    std::vector<int> many;
    box.push_all_unbounded(many);
    EXPECT_EQ(wakes, 0);
    many = {1, 2};
    box.push_all_unbounded(many);
    EXPECT_THAT(many, IsEmpty());
    many = {3};
    box.push_all_unbounded(many);
    EXPECT_EQ(wakes, 1);
    EXPECT_FALSE(take(all));
    EXPECT_THAT(into, ElementsAre(1, 2, 3));
}

TEST_F(Mailbox, DoesNotWakeForWhatIsInNoHurry) {
    EXPECT_TRUE(box.push_deferred(1));
    EXPECT_EQ(wakes, 0);
    box.wake_for_rest();
    box.wake_for_rest();
    EXPECT_EQ(wakes, 1);
    EXPECT_FALSE(take(all));
    EXPECT_THAT(into, ElementsAre(1));
    box.wake_for_rest();
    EXPECT_EQ(wakes, 1) << "there is nothing";

    EXPECT_TRUE(box.push_deferred(2));
    EXPECT_TRUE(box.push(3));
    EXPECT_TRUE(box.push_deferred(4));
    box.wake_for_rest();
    EXPECT_EQ(wakes, 2);
    EXPECT_FALSE(take(all));
    EXPECT_THAT(into, ElementsAre(2, 3, 4));
}

TEST_F(Mailbox, BoundsWhatIsInNoHurry) {
    for (const int item : {1, 2, 3, 4})
        EXPECT_TRUE(box.push_deferred(item));
    EXPECT_FALSE(box.push_deferred(5));
    EXPECT_EQ(box.dropped(), 1U);
}

TEST_F(Mailbox, TakesNoMoreThanAsked) {
    for (const int item : {1, 2, 3, 4})
        box.push(item);
    EXPECT_TRUE(take(0));
    EXPECT_THAT(into, IsEmpty());
    EXPECT_TRUE(take(1));
    EXPECT_THAT(into, ElementsAre(1));
    EXPECT_TRUE(take(2));
    EXPECT_THAT(into, ElementsAre(2, 3));
    EXPECT_FALSE(take(2));
    EXPECT_THAT(into, ElementsAre(4));
}

TEST_F(Mailbox, TakesEverythingThatIsLeft) {
    for (const int item : {1, 2, 3})
        box.push(item);
    EXPECT_TRUE(take(1));
    EXPECT_FALSE(take(all));
    EXPECT_THAT(into, ElementsAre(2, 3));
}

TEST_F(Mailbox, TakeAppends) {
    box.push(2);
    into = {1};
    box.take(into, all, [] {});
    EXPECT_THAT(into, ElementsAre(1, 2));
}

TEST_F(Mailbox, WakesForWhatComesWhileABatchIsBeingTaken) {
    box.push(1);
    box.push(2);
    EXPECT_TRUE(take(1));
    box.push(3);
    EXPECT_EQ(wakes, 2);
    EXPECT_FALSE(take(1)) << "the rest has a wake-up of its own";
    EXPECT_THAT(into, ElementsAre(2));
    EXPECT_FALSE(take(1));
    EXPECT_THAT(into, ElementsAre(3));
}

TEST_F(Mailbox, PreparesARefillBeforeItLooks) {
    box.push(1);
    box.push(2);
    take(1);
    EXPECT_EQ(refills, 1);
    take(1);
    EXPECT_EQ(refills, 1) << "of the same batch";
    // What is pushed before the new items are looked for is among them.
    into.clear();
    box.take(into, all, [this] { box.push(3); });
    EXPECT_THAT(into, ElementsAre(3));
    EXPECT_EQ(wakes, 2);
}

TEST_F(Mailbox, DropsTheNewestAtTheBoundInItems) {
    for (const int item : {1, 2, 3, 4})
        EXPECT_TRUE(box.push(item));
    EXPECT_FALSE(box.push(5));
    EXPECT_FALSE(box.push(6));
    EXPECT_EQ(box.dropped(), 2U);
    take(all);
    EXPECT_THAT(into, ElementsAre(1, 2, 3, 4));
    EXPECT_TRUE(box.push(7));
}

TEST_F(Mailbox, DropsTheNewestAtTheBoundInBytes) {
    EXPECT_TRUE(box.push(1, 60));
    EXPECT_FALSE(box.push(2, 41));
    EXPECT_TRUE(box.push(3, 40));
    EXPECT_TRUE(box.push(4));
    EXPECT_FALSE(box.push(5, 1));
    EXPECT_EQ(box.dropped(), 2U);
    take(all);
    EXPECT_THAT(into, ElementsAre(1, 3, 4));
    EXPECT_TRUE(box.push(6, 100));
}

TEST_F(Mailbox, PushUnboundedIgnoresTheBounds) {
    for (int item = 0; item < 10; ++item)
        box.push_unbounded(item, 1000);
    EXPECT_FALSE(box.push(10));
    EXPECT_EQ(wakes, 1);
    take(all);
    EXPECT_EQ(into.size(), 10U);
}

TEST_F(Mailbox, KnowsWhenItIsOverHalfFull) {
    box.push(1, 50);
    EXPECT_FALSE(box.is_over_half_full());
    box.push(2, 1);
    EXPECT_TRUE(box.is_over_half_full()) << "in bytes";
    take(all);
    EXPECT_FALSE(box.is_over_half_full());
    box.push(1);
    box.push(2);
    EXPECT_FALSE(box.is_over_half_full());
    box.push(3);
    EXPECT_TRUE(box.is_over_half_full()) << "in items";
}

TEST(MailboxItems, MayBeMoveOnly) {
    mailbox<std::unique_ptr<int>> box([] {});
    EXPECT_TRUE(box.push(std::make_unique<int>(7)));
    std::vector<std::unique_ptr<int>> into;
    box.take(into, all, [] {});
    ASSERT_EQ(into.size(), 1U);
    EXPECT_EQ(*into[0], 7);
}

TEST(MailboxItems, AreFreedWithTheMailbox) {
    const auto item = std::make_shared<int>(7);
    {
        mailbox<std::shared_ptr<int>> box([] {});
        box.push(item);
        box.push(item);
        std::vector<std::shared_ptr<int>> into;
        box.take(into, 1, [] {});
        box.push(item);
    }
    EXPECT_EQ(item.use_count(), 1);
}

TEST(MailboxWake, RunsOutsideTheLock) {
    mailbox<int>* self = nullptr;
    int seen = 0;
    mailbox<int> box([&] {
        static_cast<void>(self->is_over_half_full());
        std::vector<int> into;
        self->take(into, all, [] {});
        seen += static_cast<int>(into.size());
    });
    self = &box;
    for (int item = 0; item < 3; ++item)
        box.push(item);
    EXPECT_EQ(seen, 3);
}

struct numbered {
    int producer;
    int number;
};

constexpr int producers = 4;
constexpr int items_each = 20'000;

// Waits for wake-ups as an event loop does and takes small slices until done() says so. False
// when a wake-up never comes.
template <class Box, class Done, class Visit>
bool drain(Box& box, notifier& readable, Done&& done, Visit&& visit) {
    std::vector<numbered> into;
    while (!done()) {
        pollfd polled{readable.fd(), POLLIN, 0};
        if (::poll(&polled, 1, 60'000) != 1) return false;
        bool more = true;
        while (more) {
            into.clear();
            more = box.take(into, 100, [&] { readable.reset(); });
            for (const numbered& item : into)
                visit(item);
        }
    }
    return true;
}

TEST(MailboxThreads, LosesNothingAndKeepsTheOrderOfEachThread) {
    notifier readable;
    std::atomic<int> wakes{0};
    mailbox<numbered> box([&] {
        ++wakes;
        readable.notify();
    });
    std::vector<std::thread> threads;
    for (int producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&box, producer] {
            for (int number = 0; number < items_each; ++number)
                box.push_unbounded({producer, number}, 1);
        });
    }
    std::array<int, producers> next{};
    int taken = 0;
    const bool complete = drain(
        box, readable, [&] { return taken == producers * items_each; },
        [&](const numbered& item) {
            EXPECT_EQ(item.number, next[static_cast<std::size_t>(item.producer)]++);
            ++taken;
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_TRUE(complete) << "a wake-up was lost after " << taken << " items";
    EXPECT_GE(wakes, 1);
    EXPECT_EQ(box.dropped(), 0U);
}

TEST(MailboxThreads, CountsWhatItDrops) {
    notifier readable;
    mailbox<numbered> box([&] { readable.notify(); }, {.items = 50, .bytes = 1000});
    std::atomic<int> accepted{0};
    std::atomic<int> running{producers};
    std::vector<std::thread> threads;
    for (int producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            for (int number = 0; number < items_each; ++number)
                accepted += box.push({producer, number}, 10);
            if (--running == 0) readable.notify();
        });
    }
    std::array<int, producers> last{-1, -1, -1, -1};
    int taken = 0;
    const bool complete = drain(
        box, readable, [&] { return running == 0 && taken == accepted; },
        [&](const numbered& item) {
            int& before = last[static_cast<std::size_t>(item.producer)];
            EXPECT_GT(item.number, before);
            before = item.number;
            ++taken;
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_TRUE(complete) << "a wake-up was lost";
    EXPECT_EQ(taken, accepted);
    EXPECT_EQ(static_cast<int>(box.dropped()) + accepted, producers * items_each);
}

}  // namespace
}  // namespace amqtt
