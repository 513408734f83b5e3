#include "net/reactor.hpp"

#include <cstdlib>
#include <exception>

#include "net/signals.hpp"

namespace amqtt {
namespace {

constexpr std::size_t read_buffer_size = 128 * 1024;
constexpr std::size_t write_buffer_size = 16 * 1024;

// glibc gives free memory back to the system as soon as there are 128 KiB of it, and messages that
// come and go have it faulted in again page by page, until it has seen a larger chunk come and go:
// from then on it keeps twice as much. No page of this chunk is touched.
void let_allocator_keep_memory() {
    void* volatile chunk = std::malloc(4 * 1024 * 1024);
    std::free(chunk);
}

}  // namespace

reactor::reactor()
    : work_(asio::make_work_guard(context_)),
      origin_(std::chrono::steady_clock::now()),
      read_buffer_(read_buffer_size),
      write_buffer_(write_buffer_size),
      frame_buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(frame_buffer_size)) {}

reactor::~reactor() {
    // One by one: they hold each other.
    while (first_dirty_)
        first_dirty_ = std::move(first_dirty_->next_dirty_);
}

void reactor::start(std::function<void()> at_end) {
    start_with([this, at_end = std::move(at_end)] {
        run();
        if (at_end) at_end();
    });
}

void reactor::start_with(std::function<void()> run) {
    thread_ = std::thread([run = std::move(run)] {
        block_all_signals();
        let_allocator_keep_memory();
        run();
    });
}

void reactor::run() noexcept {
    while (true) {
        try {
            context_.run();
            return;
        } catch (...) {  // of a handler that Asio runs as it is
            report_failure();
        }
    }
}

void reactor::report_failure() noexcept {
    try {
        try {
            throw;
        } catch (const std::exception& error) {
            if (on_failure_) on_failure_(error.what());
        } catch (...) {
            if (on_failure_) on_failure_("an unknown exception");
        }
    } catch (...) {  // there is no memory to say so either
        return;
    }
}

void reactor::join() {
    work_.reset();
    if (thread_.joinable()) thread_.join();
}

instant reactor::now() const noexcept {
    return std::chrono::steady_clock::now() - origin_;
}

std::unique_lock<std::mutex> reactor::keep_others_out() {
    std::unique_lock guard(turn_, std::defer_lock);
    if (!is_shared_) return guard;
    ++waiting_;
    guard.lock();
    --waiting_;
    return guard;
}

void reactor::flush_soon(std::shared_ptr<flushable> f) noexcept {
    if (std::exchange(f->is_dirty_, true)) return;
    flushable* const added = f.get();
    (first_dirty_ ? last_dirty_->next_dirty_ : first_dirty_) = std::move(f);
    last_dirty_ = added;
    if (in_turn_ || flush_is_posted_) return;
    try {
        post([this] {
            flush_is_posted_ = false;
            flush_all();
        });
        flush_is_posted_ = true;
    } catch (...) {
        report_failure();  // the next handler() flushes
    }
}

void reactor::flush_all() noexcept {
    do {
        flushes_again_ = false;
        std::shared_ptr<flushable> next = std::move(first_dirty_);
        while (next) {
            const std::shared_ptr<flushable> current = std::move(next);
            next = std::move(current->next_dirty_);
            current->is_dirty_ = false;
            if (!attempt([&] { current->flush(); })) current->flush_failed();
        }
    } while (flushes_again_);
}

}  // namespace amqtt
