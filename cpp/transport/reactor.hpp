// A thread that waits for sockets and timers and runs everything that touches them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
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

    // Flushes f when the handlers that are ready now have run, or at the end of the turn().
    void flush_soon(std::shared_ptr<flushable> f);
    // Runs f, which stands for many handlers, and flushes right behind it.
    template <class F>
    void turn(F&& f) {
        in_turn_ = true;
        std::forward<F>(f)();
        while (!dirty_.empty())
            flush_all();
        in_turn_ = false;
    }

    // Runs f on the thread; any thread may call it.
    template <class F>
    void post(F&& f) {
        asio::post(context_, std::forward<F>(f));
    }

  private:
    void flush_all();

    asio::io_context context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::chrono::steady_clock::time_point origin_;
    std::vector<std::uint8_t> read_buffer_;
    std::vector<std::uint8_t> write_buffer_;
    std::vector<std::shared_ptr<flushable>> dirty_;
    std::vector<std::shared_ptr<flushable>> flushing_;
    bool in_turn_ = false;
    std::thread thread_;
};

}  // namespace amqtt
