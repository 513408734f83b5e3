// Publishers that are faster than the one subscriber of what they send.
//
// Their sockets are not read while its queue is filled by half, so that nothing has to be dropped
// as long as it takes what it gets. A message for several is no reason to wait: one that is slow
// would slow down the others.
#pragma once

#include "base/time.hpp"
#include "base/timer_wheel.hpp"
#include "session/message_queue.hpp"
#include "session/session.hpp"

namespace amqtt {

struct client;

// Who reads from those again that have waited.
class publisher_resumer {
  public:
    virtual void resume_publisher(client& waited) noexcept = 0;

  protected:
    ~publisher_resumer() = default;
};

class publisher_throttle {
  public:
    // All must outlive it. bounds: of each queue; now: the present time.
    publisher_throttle(const queue_limits& bounds, timer_wheel& timers, const instant& now,
                       publisher_resumer& others) noexcept
        : bounds_(bounds), timers_(timers), now_(now), others_(others) {}

    // To be called when a message for one subscriber was queued for it.
    void slow_down(const session* publisher, const session& to);
    // To be called when some of a subscriber's output is gone, or it is.
    void relieve(client& slow);
    // A publisher that may wait is gone.
    void forget(client& fast);

  private:
    void end_pressure(client& slow);
    void give_up(client& slow);

    const queue_limits& bounds_;
    timer_wheel& timers_;
    const instant& now_;
    publisher_resumer& others_;
};

}  // namespace amqtt
