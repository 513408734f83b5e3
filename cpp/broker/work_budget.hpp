// How much is done for one client before others have their turn.
#pragma once

#include <cstddef>
#include <cstdint>

namespace amqtt {

// What work counts for, in steps of roughly 0.1 us. The number of bytes that a client has sent does
// not tell: one small packet may have a hundred thousand nodes of a tree visited.
namespace step_cost {

inline constexpr std::size_t turn = 5;                 // to begin one
inline constexpr std::size_t packet = 2;               // to parse and to answer it
inline constexpr std::size_t pings = 5;                // of pings_answered, besides
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

class work_budget {
  public:
    // Steps of one turn, some 250 us.
    static constexpr std::int64_t turn = 2500;

    void begin_turn() noexcept { left_ = turn; }
    // For one of many who have theirs one behind the other.
    void begin_short_turn() noexcept { left_ = turn / 8; }
    void spend(std::size_t steps) noexcept { left_ -= static_cast<std::int64_t>(steps); }
    bool is_spent() const noexcept { return left_ <= 0; }
    std::size_t left() const noexcept { return is_spent() ? 0 : static_cast<std::size_t>(left_); }
    // In the present turn; the last thing that was done may have exceeded it.
    std::int64_t spent() const noexcept { return turn - left_; }

  private:
    std::int64_t left_ = turn;
};

}  // namespace amqtt
