#pragma once

#include <chrono>
#include <cstddef>

#include "base/time.hpp"

namespace amqtt {

// Tells when messages come and go one by one, so that they cost little beside the threads that wake
// each other for them.
class low_traffic_detector {
  public:
    // More at one time is worth another thread's work.
    static constexpr std::size_t most_items = 4;
    static constexpr std::size_t most_bytes = 16 * 1024;

    // No more than that has come.
    void came_alone(instant now) noexcept {
        in_a_row_ = now - last_ < pause ? in_a_row_ + 1 : 1;
        last_ = now;
    }
    // More has come, or is to be sent.
    void has_crowded() noexcept { in_a_row_ = 0; }
    // It will probably go on.
    bool has_settled() const noexcept { return in_a_row_ >= enough; }

  private:
    static constexpr auto pause = std::chrono::milliseconds(50);
    static constexpr int enough = 8;

    instant last_{};
    int in_a_row_ = 0;
};

}  // namespace amqtt
