#include "base/timer_wheel.hpp"

#include <algorithm>

namespace amqtt {
namespace {

// Rounds up, so that a timer never fires early.
std::int64_t tick_of(instant deadline) {
    return (deadline.count() + timer_wheel::tick.count() - 1) / timer_wheel::tick.count();
}

}  // namespace

void timer_wheel::set(timer& t, instant deadline) {
    t.cancel();
    t.deadline = deadline;
    const std::int64_t due = std::max(tick_of(deadline), current_ + 1);
    slots_[static_cast<std::size_t>(due) % slot_count].push_back(t);
}

void timer_wheel::collect_due(instant now, list& due) {
    const std::int64_t until = now.count() / tick.count();
    const std::int64_t first = std::max(current_ + 1, until - std::int64_t{slot_count} + 1);
    for (std::int64_t i = first; i <= until; ++i) {
        list& slot = slots_[static_cast<std::size_t>(i) % slot_count];
        for (auto it = slot.begin(); it != slot.end();) {
            timer& t = *it++;
            if (t.deadline > now) continue;  // a later round of the wheel
            t.unlink();
            due.push_back(t);
        }
    }
    current_ = std::max(current_, until);
}

}  // namespace amqtt
