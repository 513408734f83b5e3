#include "engine/reactor_handoff.hpp"

#include <chrono>

namespace amqtt {
namespace {

// After so long without a turn the thread takes the reactor back; its timers are late by as much.
constexpr auto longest_pause = std::chrono::milliseconds(50);

}  // namespace

reactor_handoff::reactor_handoff(reactor& loop, std::function<bool()> may_lend,
                                 std::function<void()> taken_back)
    : loop_(loop), may_lend_(std::move(may_lend)), taken_back_(std::move(taken_back)) {}

void reactor_handoff::run() {
    while (true) {
        loop_.run();
        std::unique_lock guard(mutex_);
        if (state_ == state::kept) return;  // out of work
        do {
            loop_.context().restart();
            state_ = state::kept;
            if (!has_ended_ && may_lend_()) lend(guard);
        } while (state_ == state::asked);  // between taking it back and this thread's waking
    }
}

void reactor_handoff::lend(std::unique_lock<std::mutex>& guard) {
    state_ = state::lent;
    std::uint64_t seen = 0;
    do {
        seen = turns_;
        is_due_ = true;
        back_.wait_for(guard, longest_pause, [this] { return !is_lent(); });
    } while (is_lent() && turns_ != seen);
    take_back();
}

void reactor_handoff::ask() {
    if (state_ != state::kept || has_ended_) return;
    state_ = state::asked;
    loop_.context().stop();
}

void reactor_handoff::take_back() {
    if (!is_lent()) return;
    state_ = state::kept;
    taken_back_();
    back_.notify_one();
}

void reactor_handoff::end() {
    take_back();
    has_ended_ = true;
}

}  // namespace amqtt
