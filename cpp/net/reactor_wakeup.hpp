// How one thread wakes the reactor of another.
#pragma once

#include <functional>

#include "bridge/notifier.hpp"
#include "net/reactor.hpp"

namespace amqtt {

// Posting to the reactor would do, but Asio wakes its thread while it holds a lock that this
// thread wants first: it would go to sleep again at once.
class reactor_wakeup {
  public:
    // Throws std::system_error when the system has no descriptor left.
    reactor_wakeup(reactor& loop, std::function<void()> heard);
    ~reactor_wakeup();
    reactor_wakeup(const reactor_wakeup&) = delete;
    reactor_wakeup& operator=(const reactor_wakeup&) = delete;

    // Makes heard run on the thread of the reactor, once for all rings until then and as a turn of
    // its own. Any thread.
    void ring() noexcept { notifier_.notify(); }

    // -- on the thread of the reactor, or before it runs

    // Keeps the reactor running until stop().
    void listen();
    void stop();

  private:
    reactor& loop_;
    notifier notifier_;
    std::function<void()> heard_;
    asio::posix::stream_descriptor descriptor_;
    bool is_stopped_ = false;
};

}  // namespace amqtt
