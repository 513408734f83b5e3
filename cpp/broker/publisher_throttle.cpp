#include "broker/publisher_throttle.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "broker/client.hpp"

namespace amqtt {
namespace {

// How long a subscriber may take to make room.
constexpr duration patience = std::chrono::milliseconds(250);

// Of the bounds of a queue, in sixteenths: where waiting begins and where it ends.
constexpr std::size_t filled_part = 8;
constexpr std::size_t relieved_part = 7;

bool reaches(std::size_t size, std::size_t bound, std::size_t sixteenths) noexcept {
    const std::size_t part = bound / 16 * sixteenths + bound % 16 * sixteenths / 16;
    return size >= std::max<std::size_t>(part, 1);
}

bool reaches(const message_queue& queue, const queue_limits& bounds, std::size_t sixteenths) {
    return reaches(queue.size(), bounds.messages, sixteenths) ||
           reaches(queue.bytes(), bounds.bytes, sixteenths);
}

}  // namespace

void publisher_throttle::slow_down(const session* publisher, const session& to) {
    if (!publisher || !publisher->connection || !to.connection) return;
    if (!reaches(to.queue(), bounds_, filled_part)) return;
    client& fast = *publisher->connection;
    client& slow = *to.connection;
    if (&fast == &slow) return;  // its acknowledgements must be read
    if (!slow.pressure) {
        slow.pressure = std::make_unique<back_pressure>();
        slow.pressure->limit.expired = [this, &slow] { give_up(slow); };
    }
    back_pressure& pressure = *slow.pressure;
    if (fast.slowed_by || pressure.is_given_up) return;
    if (pressure.waiting.empty()) timers_.set(pressure.limit, now_ + patience);
    pressure.waiting.push_back(&fast);
    fast.slowed_by = &slow;
}

void publisher_throttle::relieve(client& slow) {
    if (!slow.pressure) return;
    if (slow.state && reaches(slow.state->queue(), bounds_, relieved_part)) return;
    if (!slow.state || slow.state->queue().empty()) slow.pressure->is_given_up = false;
    end_pressure(slow);
}

void publisher_throttle::end_pressure(client& slow) {
    slow.pressure->limit.cancel();
    const auto waiting = std::exchange(slow.pressure->waiting, {});
    for (client* const each : waiting)
        each->slowed_by = nullptr;
    for (client* const each : waiting) {
        each->connection.restart_keep_alive(now_);
        others_.resume_publisher(*each);
    }
}

void publisher_throttle::give_up(client& slow) {
    slow.pressure->is_given_up = true;
    end_pressure(slow);
}

void publisher_throttle::forget(client& fast) {
    client* const slow = std::exchange(fast.slowed_by, nullptr);
    if (slow) std::erase(slow->pressure->waiting, &fast);
}

}  // namespace amqtt
