// A thread that waits for sockets and timers and runs everything that touches them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "transport/asio.hpp"

namespace amqtt {

// Something whose output is to be written at the end of the turn.
class flushable {
  public:
    virtual ~flushable() = default;
    virtual void flush() = 0;
};

class reactor {
  public:
    reactor();
    // Precondition: stopped, or never started.
    ~reactor() = default;
    reactor(const reactor&) = delete;
    reactor& operator=(const reactor&) = delete;

    // at_end runs on the thread when nothing else will.
    void start(std::function<void()> at_end = {});
    // The same for somebody who runs context() themselves, in run.
    void start_with(std::function<void()> run);
    // Lets the thread run out of work and ends it; work that goes on holds it up.
    void join();

    asio::io_context& context() noexcept { return context_; }
    instant now() const noexcept;

    // The thread's read buffer: valid until the handler that uses it returns.
    std::span<std::uint8_t> read_buffer() noexcept { return read_buffer_; }
    // Room for one TLS record, to put together what is written; valid as long.
    std::span<std::uint8_t> write_buffer() noexcept { return write_buffer_; }
    // Room to put frames together, beside the above and valid as long.
    std::span<std::uint8_t> frame_buffer() noexcept {
        return {frame_buffer_.get(), frame_buffer_size};
    }

    // Flushes f when the handlers that are ready now have run, or at the end of the turn().
    void flush_soon(std::shared_ptr<flushable> f);
    // For a flush(): runs f, and flushes what that leaves before any other handler runs.
    template <class F>
    void flush_behind(F&& f) {
        const bool outer = std::exchange(in_turn_, true);
        std::forward<F>(f)();
        in_turn_ = outer;
        flushes_again_ = true;
    }
    // Runs f, which stands for many handlers, and flushes right behind it.
    template <class F>
    void turn(F&& f) {
        const auto guard = keep_others_out();
        run_turn(std::forward<F>(f));
    }

    // Runs f on the thread; any thread may call it.
    template <class F>
    void post(F&& f) {
        asio::post(context_, [this, f = std::forward<F>(f)]() mutable {
            const auto guard = keep_others_out();
            f();
        });
    }
    // What Asio is to call in place of a handler that it gives an error to.
    template <class F>
    auto handler(F&& f) {
        return [this, f = std::forward<F>(f)](const error_code& error) mutable {
            const auto guard = keep_others_out();
            f(error);
        };
    }

    // -- turns of other threads

    // They may have some from here on. What belongs to the reactor then belongs to whoever has a
    // turn: handlers have to come by post(), handler() or turn(). To be called before start().
    void share() noexcept { is_shared_ = true; }
    bool is_shared() const noexcept { return is_shared_; }
    // Runs f as a turn on the thread of the caller. False, and it does not, when another is at
    // work or waits to be. Precondition: it is shared.
    template <class F>
    bool try_turn(F&& f) {
        if (waiting_ > 0) return false;
        const std::unique_lock guard(turn_, std::try_to_lock);
        if (!guard) return false;
        run_turn(std::forward<F>(f));
        return true;
    }
    // Whether it is the reactor's thread that asks.
    bool is_here() noexcept { return context_.get_executor().running_in_this_thread(); }

  private:
    static constexpr std::size_t frame_buffer_size = 64 * 1024;

    std::unique_lock<std::mutex> keep_others_out();
    void flush_all();
    template <class F>
    void run_turn(F&& f) {
        in_turn_ = true;
        std::forward<F>(f)();
        while (!dirty_.empty())
            flush_all();
        in_turn_ = false;
    }

    asio::io_context context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::chrono::steady_clock::time_point origin_;
    std::vector<std::uint8_t> read_buffer_;
    std::vector<std::uint8_t> write_buffer_;
    std::unique_ptr<std::uint8_t[]> frame_buffer_;  // not touched before it is used
    std::vector<std::shared_ptr<flushable>> dirty_;
    std::vector<std::shared_ptr<flushable>> flushing_;
    bool in_turn_ = false;
    bool flushes_again_ = false;
    bool is_shared_ = false;
    std::mutex turn_;               // held by whoever runs handlers, if it is shared
    std::atomic<int> waiting_ = 0;  // for that; who only tries lets them go first
    std::thread thread_;
};

}  // namespace amqtt
