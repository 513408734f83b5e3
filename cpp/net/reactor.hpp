// A thread that waits for sockets and timers and runs everything that touches them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "net/asio.hpp"

namespace amqtt {

// Something whose output is to be written at the end of the turn.
class flushable {
  public:
    virtual ~flushable() = default;
    virtual void flush() = 0;
    // flush() has thrown, and was logged.
    virtual void flush_failed() noexcept {}

  private:
    friend class reactor;

    // Links of the list of those that are to be flushed, which takes no memory to add to.
    std::shared_ptr<flushable> next_dirty_;
    bool is_dirty_ = false;
};

class reactor {
  public:
    reactor();
    // Precondition: stopped, or never started.
    ~reactor();
    reactor(const reactor&) = delete;
    reactor& operator=(const reactor&) = delete;

    // at_end runs on the thread when nothing else will.
    void start(std::function<void()> at_end = {});
    // The same with another function in place of run().
    void start_with(std::function<void()> run);
    // Runs handlers until there is no more work, whatever they throw.
    void run() noexcept;

    // -- what handlers throw: out of memory, most of all
    //
    // Nothing that a handler throws ends the thread. Code that serves one connection catches it by
    // attempt() and closes that connection; what arrives here belongs to none.

    // Called with the text of each exception, on the thread that has the turn; what it throws is
    // ignored. To be called before start().
    void on_failure(std::function<void(const char* what)> told) { on_failure_ = std::move(told); }
    // In a handler of an exception: reports it.
    void report_failure() noexcept;
    // Runs f. False: it has thrown, and that was reported.
    template <class F>
    bool attempt(F&& f) noexcept {
        try {
            std::forward<F>(f)();
            return true;
        } catch (...) {
            report_failure();
            return false;
        }
    }
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

    // Flushes f when the handlers that are ready now have run, or at the end of the turn(); once,
    // however often it was asked for by then.
    void flush_soon(std::shared_ptr<flushable> f) noexcept;
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

    // Repeats f until it does not throw: for what must not stop, such as a timer that is set again.
    template <class F>
    void insist(F&& f) noexcept {
        while (!attempt(f))
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }

    // Runs f on the thread; any thread may call it.
    template <class F>
    void post(F&& f) {
        asio::post(context_, [this, f = std::forward<F>(f)]() mutable {
            const auto guard = keep_others_out();
            attempt(f);
        });
    }
    // What Asio is to call in place of a handler that it gives an error to.
    template <class F>
    auto handler(F&& f) {
        return [this, f = std::forward<F>(f)](const error_code& error) mutable {
            const auto guard = keep_others_out();
            attempt([&] { f(error); });
            flush_forgotten();
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
    void flush_all() noexcept;
    // What there was no memory for to post a flush of.
    void flush_forgotten() noexcept {
        if (first_dirty_ && !in_turn_ && !flush_is_posted_) flush_all();
    }
    template <class F>
    void run_turn(F&& f) {
        in_turn_ = true;
        attempt(std::forward<F>(f));
        while (first_dirty_)
            flush_all();
        in_turn_ = false;
    }

    asio::io_context context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::chrono::steady_clock::time_point origin_;
    std::vector<std::uint8_t> read_buffer_;
    std::vector<std::uint8_t> write_buffer_;
    std::unique_ptr<std::uint8_t[]> frame_buffer_;  // not touched before it is used
    std::function<void(const char*)> on_failure_;
    std::shared_ptr<flushable> first_dirty_;
    flushable* last_dirty_ = nullptr;
    bool flush_is_posted_ = false;
    bool in_turn_ = false;
    bool flushes_again_ = false;
    bool is_shared_ = false;
    std::mutex turn_;               // held by whoever runs handlers, if it is shared
    std::atomic<int> waiting_ = 0;  // for that; who only tries lets them go first
    std::thread thread_;
};

}  // namespace amqtt
