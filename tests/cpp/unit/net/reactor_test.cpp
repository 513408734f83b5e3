#include "net/reactor.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace amqtt {
namespace {

// A reactor whose turns others may have.
class shared_reactor {
  public:
    shared_reactor() {
        loop.share();
        loop.start();
    }
    ~shared_reactor() { loop.join(); }
    shared_reactor(const shared_reactor&) = delete;
    shared_reactor& operator=(const shared_reactor&) = delete;

    // Runs something as a handler, and returns on which thread when it has.
    std::thread::id handled() {
        std::promise<std::thread::id> on;
        loop.post([&on] { on.set_value(std::this_thread::get_id()); });
        return on.get_future().get();
    }

    // Has a turn on this thread, once nobody is at work.
    template <class F>
    void have_turn(F&& f) {
        while (!loop.try_turn(f))
            std::this_thread::yield();
    }

    reactor loop;
};

// A handler that is at work until it is let go.
class busy_handler {
  public:
    explicit busy_handler(reactor& loop) {
        loop.post([this, done = let_go_.get_future().share()] {
            began_.set_value();
            done.wait();
        });
        began_.get_future().wait();
    }
    ~busy_handler() { let_go_.set_value(); }
    busy_handler(const busy_handler&) = delete;
    busy_handler& operator=(const busy_handler&) = delete;

  private:
    std::promise<void> let_go_;
    std::promise<void> began_;
};

struct counting final : flushable {
    void flush() override {
        ++flushed;
        on = std::this_thread::get_id();
    }
    int flushed = 0;
    std::thread::id on;
};

TEST(reactor_of_several, gives_a_turn_to_another_thread) {
    shared_reactor shared;
    std::thread::id ran;
    shared.have_turn([&] { ran = std::this_thread::get_id(); });
    EXPECT_EQ(ran, std::this_thread::get_id());
    EXPECT_NE(shared.handled(), std::this_thread::get_id());
}

TEST(reactor_of_several, flushes_in_the_turn) {
    shared_reactor shared;
    const auto output = std::make_shared<counting>();
    shared.have_turn([&] { shared.loop.flush_soon(output); });
    EXPECT_EQ(output->flushed, 1);
    EXPECT_EQ(output->on, std::this_thread::get_id());
}

TEST(reactor_of_several, flushes_once_what_a_handler_has_left) {
    shared_reactor shared;
    const auto output = std::make_shared<counting>();
    std::promise<void> noted;
    shared.loop.post([&] {
        shared.loop.flush_soon(output);
        noted.set_value();
    });
    noted.get_future().wait();
    shared.have_turn([] {});
    shared.handled();  // behind the flush of its own
    EXPECT_EQ(output->flushed, 1);
}

TEST(reactor, flushes_behind_a_flush_before_the_next_handler) {
    reactor loop;
    const auto second = std::make_shared<counting>();
    struct : flushable {
        void flush() override {
            loop->flush_behind([this] { loop->flush_soon(next); });
        }
        reactor* loop;
        std::shared_ptr<counting> next;
    } first;
    first.loop = &loop;
    first.next = second;
    std::promise<int> seen;
    loop.start();
    loop.post([&] {
        loop.flush_soon(std::shared_ptr<flushable>(std::shared_ptr<void>(), &first));
        // Behind the flush, which was posted by that.
        loop.post([&] { seen.set_value(second->flushed); });
    });
    EXPECT_EQ(seen.get_future().get(), 1);
    loop.join();
    EXPECT_EQ(second->flushed, 1);
}

// What throws, each time.
struct failing final : flushable {
    void flush() override { throw std::runtime_error("flush"); }
    void flush_failed() noexcept override { ++failed; }
    int failed = 0;
};

TEST(reactor, goes_on_whatever_is_thrown) {
    reactor loop;
    std::vector<std::string> told;
    loop.on_failure([&](const char* what) {
        told.emplace_back(what);
        throw std::runtime_error("nobody catches that");
    });
    const auto bad = std::make_shared<failing>();
    const auto good = std::make_shared<counting>();
    asio::steady_timer timer(loop.context(), std::chrono::milliseconds(0));
    loop.start();
    std::promise<void> done;
    loop.post([] { throw std::runtime_error("post"); });
    loop.post([&] {
        loop.turn([] { throw 7; });
        timer.async_wait(
            loop.handler([](const error_code&) { throw std::runtime_error("timer"); }));
        // As Asio runs it.
        asio::post(loop.context(), [] { throw std::runtime_error("handler"); });
        loop.flush_soon(bad);
        loop.flush_soon(good);
        loop.flush_soon(bad);
    });
    loop.post([&] { loop.post([&] { done.set_value(); }); });
    done.get_future().wait();
    loop.join();
    EXPECT_EQ(bad->failed, 1);
    EXPECT_EQ(good->flushed, 1);
    std::sort(told.begin(), told.end());
    const std::vector<std::string> expected = {"an unknown exception", "flush", "handler", "post",
                                               "timer"};
    EXPECT_EQ(told, expected);
}

TEST(reactor, repeats_what_must_be_done) {
    reactor loop;
    int tried = 0;
    loop.insist([&] {
        if (++tried < 3) throw std::bad_alloc();
    });
    EXPECT_EQ(tried, 3);
}

TEST(reactor_of_several, refuses_a_turn_while_a_handler_is_at_work) {
    shared_reactor shared;
    {
        const busy_handler busy(shared.loop);
        EXPECT_FALSE(shared.loop.try_turn([] { FAIL() << "two at a time"; }));
    }
    shared.handled();
    shared.have_turn([] {});
}

TEST(reactor_of_several, tells_whose_thread_asks) {
    shared_reactor shared;
    EXPECT_FALSE(shared.loop.is_here());
    std::promise<bool> answer;
    shared.loop.post([&] { answer.set_value(shared.loop.is_here()); });
    EXPECT_TRUE(answer.get_future().get());
    shared.have_turn([&] { EXPECT_FALSE(shared.loop.is_here()); });
}

TEST(reactor_of_several, has_one_thread_at_a_time) {
    shared_reactor shared;
    std::uint64_t unguarded = 0;
    constexpr std::uint64_t of_each = 5000;
    const auto take_turns = [&] {
        for (std::uint64_t i = 0; i < of_each; ++i)
            shared.have_turn([&] { ++unguarded; });
    };
    std::thread one(take_turns);
    std::thread other(take_turns);
    asio::steady_timer timer(shared.loop.context());
    for (std::uint64_t i = 0; i < of_each; ++i) {
        shared.loop.post([&] { ++unguarded; });
        if (i % 100 != 0) continue;
        shared.loop.post([&] {
            timer.expires_after(std::chrono::milliseconds(0));
            timer.async_wait(shared.loop.handler([&](const error_code&) { ++unguarded; }));
        });
        shared.handled();
    }
    one.join();
    other.join();
    std::promise<void> fired;
    shared.loop.post([&] {
        timer.expires_after(std::chrono::milliseconds(0));
        timer.async_wait(shared.loop.handler([&](const error_code&) { fired.set_value(); }));
    });
    fired.get_future().wait();
    EXPECT_EQ(unguarded, 3 * of_each + of_each / 100);
}

}  // namespace
}  // namespace amqtt
