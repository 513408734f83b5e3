#include "engine/reactor_handoff.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <mutex>
#include <random>
#include <thread>

#include <gtest/gtest.h>

namespace amqtt {
namespace {

// A reactor that is lent when it is asked for.
class lender {
  public:
    lender() {
        loop.start_with([this] { loan.run(); });
    }
    ~lender() {
        {
            const auto guard = loan.lock();
            loan.end();
        }
        loop.join();
    }
    lender(const lender&) = delete;
    lender& operator=(const lender&) = delete;

    // Returns when the reactor is lent; the lock is held then.
    std::unique_lock<std::mutex> borrow() {
        while (true) {
            auto guard = loan.lock();
            if (loan.is_lent()) return guard;
            loan.ask();
            guard.unlock();
            std::this_thread::yield();
        }
    }
    // Runs something as a handler, whoever runs the reactor, and returns on which thread.
    std::thread::id handled() {
        std::promise<std::thread::id> on;
        loop.post([&on] { on.set_value(std::this_thread::get_id()); });
        return on.get_future().get();
    }

    bool may_lend = true;  // with the lock
    int asked_to_lend = 0;
    int taken_back = 0;

    reactor loop;
    reactor_handoff loan{loop,
                         [this] {
                             ++asked_to_lend;
                             return may_lend;
                         },
                         [this] { ++taken_back; }};
};

TEST(reactor_handoff, is_kept_until_it_is_asked_for) {
    lender lent;
    EXPECT_NE(lent.handled(), std::this_thread::get_id());
    const auto guard = lent.loan.lock();
    EXPECT_FALSE(lent.loan.is_lent());
    EXPECT_EQ(lent.asked_to_lend, 0);
}

TEST(reactor_handoff, runs_turns_on_the_thread_of_the_caller) {
    lender lent;
    const auto guard = lent.borrow();
    std::thread::id ran;
    lent.loan.turn([&ran] { ran = std::this_thread::get_id(); });
    EXPECT_EQ(ran, std::this_thread::get_id());
    EXPECT_TRUE(lent.loan.is_lent());
}

TEST(reactor_handoff, is_taken_back_when_there_is_no_turn) {
    lender lent;
    lent.borrow().unlock();
    EXPECT_NE(lent.handled(), std::this_thread::get_id());
    const auto guard = lent.loan.lock();
    EXPECT_EQ(lent.taken_back, 1);
    EXPECT_FALSE(lent.loan.is_lent());
}

TEST(reactor_handoff, looks_after_timers_in_turns) {
    lender lent;
    std::atomic<bool> expired{false};
    asio::steady_timer timer(lent.loop.context());
    {
        const auto guard = lent.borrow();
        timer.expires_after(std::chrono::milliseconds(1));
        timer.async_wait([&expired](const error_code&) { expired = true; });
    }
    while (!expired) {
        const auto guard = lent.borrow();
        lent.loan.turn([] {});
    }
}

TEST(reactor_handoff, is_given_back_at_once) {
    lender lent;
    {
        const auto guard = lent.borrow();
        lent.loan.take_back();
        EXPECT_EQ(lent.taken_back, 1);
        EXPECT_FALSE(lent.loan.is_lent());
        lent.loan.take_back();
        EXPECT_EQ(lent.taken_back, 1);
    }
    EXPECT_NE(lent.handled(), std::this_thread::get_id());
}

TEST(reactor_handoff, is_not_lent_when_that_is_refused) {
    lender lent;
    {
        const auto guard = lent.loan.lock();
        lent.may_lend = false;
        lent.loan.ask();
        lent.loan.ask();
    }
    EXPECT_NE(lent.handled(), std::this_thread::get_id());
    const auto guard = lent.loan.lock();
    EXPECT_FALSE(lent.loan.is_lent());
    EXPECT_EQ(lent.asked_to_lend, 1);
}

TEST(reactor_handoff, ends_whoever_runs_the_reactor) {
    { const lender kept; }
    {
        lender asked;
        const auto guard = asked.loan.lock();
        asked.loan.ask();
    }
    {
        lender lent;
        lent.borrow().unlock();
    }
}

// What handlers and turns touch needs no lock of its own: a thread sanitizer would tell.
TEST(reactor_handoff, may_be_asked_for_before_the_thread_knows_that_it_was_taken_back) {
    lender lent;
    {
        const auto guard = lent.borrow();
        lent.loan.take_back();
        lent.loan.ask();
    }
    EXPECT_NE(lent.handled(), std::this_thread::get_id());  // its thread still runs it
}

TEST(reactor_handoff, has_one_thread_at_a_time) {
    lender lent;
    std::uint64_t unguarded = 0;
    std::uint64_t added = 0;
    std::mt19937 random(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same each time
    for (int i = 0; i < 2000; ++i) {
        const auto guard = lent.loan.lock();
        switch (random() % 4) {
            case 0:
                lent.loan.ask();
                break;
            case 1:
                lent.loan.take_back();
                break;
            default:
                ++added;
                if (lent.loan.is_lent()) {
                    lent.loan.turn([&unguarded] { ++unguarded; });
                } else {
                    lent.loop.post([&unguarded] { ++unguarded; });
                }
        }
    }
    lent.handled();
    EXPECT_EQ(unguarded, added);
}

}  // namespace
}  // namespace amqtt
