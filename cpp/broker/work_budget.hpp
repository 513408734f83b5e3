// How much is done for one client before others have their turn.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.hpp"

namespace amqtt {

// What work counts for, in steps of roughly 0.1 us. The number of bytes that a client has sent does
// not tell: one small packet may have a hundred thousand nodes of a tree visited.
namespace step_cost {

inline constexpr std::size_t turn = 5;                 // to begin one
inline constexpr std::size_t packet = 2;               // to parse and to answer it
inline constexpr std::size_t pings = 5;                // that were answered at once
inline constexpr std::size_t node = 6;                 // of a tree: most are far away in memory
inline constexpr std::size_t delivery = 1;             // a message for one subscriber
inline constexpr std::size_t copied_bytes = 1024;      // of a message that count for a step
inline constexpr std::size_t copied_identifiers = 32;  // of subscriptions, likewise
inline constexpr std::size_t event = 3;                // for observers
inline constexpr std::size_t filter = 10;              // to subscribe or unsubscribe
inline constexpr std::size_t filter_bytes = 4;         // of a filter that count for a step

inline constexpr std::size_t of_delivery(std::size_t bytes) noexcept {
    return delivery + bytes / copied_bytes;
}
inline constexpr std::size_t of_filter(std::size_t bytes) noexcept {
    return filter + bytes / filter_bytes;
}

}  // namespace step_cost

class hooks;

// A turn ends when its steps are used up, or its time: no count of steps is right for every
// machine and every tree. The clock is looked at between portions of steps only.
class work_budget {
  public:
    static constexpr std::int64_t turn = 2500;  // steps
    static constexpr duration turn_time = std::chrono::microseconds(250);

    // Without a clock by the steps alone.
    work_budget() = default;
    explicit work_budget(const hooks& clock) noexcept : clock_(&clock) {}

    void begin_turn() noexcept { begin(turn); }
    // For one of many who have theirs one behind the other.
    void begin_short_turn() noexcept { begin(turn / 8); }
    void spend(std::size_t steps) noexcept { left_ -= static_cast<std::int64_t>(steps); }
    bool is_spent() noexcept { return left_ <= 0 && !go_on(); }
    // Steps that may be spent before is_spent() is asked again.
    std::size_t left() const noexcept { return left_ <= 0 ? 0 : static_cast<std::size_t>(left_); }
    // Of turn, in the present one; the last thing that was done may have exceeded it.
    std::int64_t spent() const noexcept { return turn - left_ - rest_; }

  private:
    // Between two looks at the clock.
    static constexpr std::int64_t portion = 250;

    void begin(std::int64_t steps) noexcept {
        left_ = portion;
        rest_ = steps - portion;
        is_timed_ = false;
    }
    // With the next portion; false: the turn is over.
    bool go_on() noexcept;

    std::int64_t left_ = portion;  // of the present portion
    std::int64_t rest_ = turn - portion;
    bool is_timed_ = false;  // until_ is set: the first portion is not timed
    instant until_{};
    const hooks* clock_ = nullptr;
};

}  // namespace amqtt
