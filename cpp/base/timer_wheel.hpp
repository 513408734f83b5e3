// Many coarse timers at the cost of a list operation each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include <boost/intrusive/list.hpp>

#include "base/time.hpp"

namespace amqtt {

// A timer is embedded in its owner; it leaves the wheel when destroyed.
struct timer
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    void cancel() noexcept {
        if (is_linked()) unlink();
    }
    bool is_set() const noexcept { return is_linked(); }

    instant deadline{0};
    std::function<void()> expired;  // what is to be done then
};

// Never fires early, and late by at most one tick beyond the call of advance().
class timer_wheel {
  public:
    static constexpr duration tick = std::chrono::milliseconds(50);

    // Sets t, which may be set already, to fire at deadline.
    void set(timer& t, instant deadline);

    // Unlinks every timer that is due and does what is to be done then, as long as goes_on() is
    // true; see below.
    template <class GoesOn>
    bool fire_due(instant now, GoesOn&& goes_on) {
        const auto fire = [](timer& t) {
            const std::function<void()> expired = t.expired;  // t may be gone before it returns
            expired();
        };
        return advance(now, fire, std::forward<GoesOn>(goes_on));
    }
    // Calls fire(timer&) instead, which may set, cancel and destroy any timer.
    template <class Fire>
    void advance(instant now, Fire&& fire) {
        advance(now, std::forward<Fire>(fire), [] { return true; });
    }
    // The same as long as goes_on() is true. Those that are left come first the next time. Returns
    // whether none are left.
    template <class Fire, class GoesOn>
    bool advance(instant now, Fire&& fire, GoesOn&& goes_on) {
        collect_due(now, due_);
        while (!due_.empty() && goes_on()) {
            timer& t = due_.front();
            due_.pop_front();
            fire(t);
        }
        return due_.empty();
    }

  private:
    using list = boost::intrusive::list<timer, boost::intrusive::constant_time_size<false>>;
    static constexpr std::size_t slot_count = 1024;

    void collect_due(instant now, list& due);

    std::array<list, slot_count> slots_;
    list due_;
    std::int64_t current_ = 0;  // the last tick whose slot was emptied
};

}  // namespace amqtt
