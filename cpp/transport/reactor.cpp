#include "transport/reactor.hpp"

#include <csignal>
#include <cstdlib>
#include <pthread.h>

namespace amqtt {
namespace {

constexpr std::size_t read_buffer_size = 128 * 1024;
constexpr std::size_t write_buffer_size = 16 * 1024;

// Signals are Python's business, on Python's main thread.
void block_all_signals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

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

void reactor::start(std::function<void()> at_end) {
    start_with([this, at_end = std::move(at_end)] {
        context_.run();
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

void reactor::flush_soon(std::shared_ptr<flushable> f) {
    if (dirty_.empty() && !in_turn_) post([this] { flush_all(); });
    dirty_.push_back(std::move(f));
}

void reactor::flush_all() {
    do {
        flushes_again_ = false;
        flushing_.swap(dirty_);
        for (const auto& f : flushing_)
            f->flush();
        flushing_.clear();
    } while (flushes_again_);
}

}  // namespace amqtt
