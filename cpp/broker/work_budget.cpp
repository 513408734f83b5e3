#include "broker/work_budget.hpp"

#include <algorithm>

#include "broker/hooks.hpp"

namespace amqtt {

bool work_budget::go_on() noexcept {
    if (rest_ <= 0) return false;
    if (clock_) {
        const instant now = clock_->time();
        if (!is_timed_) {
            is_timed_ = true;
            until_ = now + turn_time * rest_ / turn;
        } else if (now >= until_) {
            rest_ = 0;
            return false;
        }
    }
    const std::int64_t more = std::min(rest_, portion - left_);
    rest_ -= more;
    left_ += more;
    return left_ > 0;
}

}  // namespace amqtt
