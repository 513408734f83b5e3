// Lets other threads run a reactor while little goes on in it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

#include "net/reactor.hpp"

namespace amqtt {

// Handing something to the reactor's thread and waiting for what comes of it takes two wake-ups of
// threads, which cost more than all the work on a lone message. While the reactor is lent, its
// thread sleeps, and who has something to do runs it in a turn of their own. Nobody else runs its
// handlers meanwhile: who lends does not look at the sockets.
//
// The thread takes the reactor back by itself when there was no turn for a while, so that time goes
// on in it whatever the others do.
//
// Everything but run() has the precondition that the caller holds lock().
class reactor_handoff {
  public:
    // Both run under the lock. may_lend: on the reactor's thread; it has to complete what was
    // handed over before, and false means not now. taken_back: on any thread, after the last turn.
    reactor_handoff(reactor& loop, std::function<bool()> may_lend,
                    std::function<void()> taken_back);
    reactor_handoff(const reactor_handoff&) = delete;
    reactor_handoff& operator=(const reactor_handoff&) = delete;

    // What the reactor's thread runs, until the reactor is out of work.
    void run();

    std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }
    bool is_lent() const noexcept { return state_ == state::lent; }

    // Has the thread lend the reactor as soon as it is at a handler's end.
    void ask();
    // Runs f as a turn of the reactor. Precondition: is_lent().
    template <class F>
    void turn(F&& f) {
        ++turns_;
        loop_.turn(std::forward<F>(f));
        if (std::exchange(is_due_, false)) {
            loop_.attempt([this] { loop_.context().poll(); });
        }
    }
    // The thread runs the reactor again, if it was lent.
    void take_back();
    // The same, and for good.
    void end();

  private:
    enum class state : std::uint8_t { kept, asked, lent };

    void lend(std::unique_lock<std::mutex>& guard);

    reactor& loop_;
    std::function<bool()> may_lend_;
    std::function<void()> taken_back_;
    std::mutex mutex_;
    std::condition_variable back_;
    state state_ = state::kept;
    std::uint64_t turns_ = 0;
    bool is_due_ = false;  // timers of the reactor are to be looked at in the next turn
    bool has_ended_ = false;
};

}  // namespace amqtt
