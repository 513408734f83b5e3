#pragma once

#include <vector>

#include "base/timer_wheel.hpp"

namespace amqtt {

struct client;

// Who waits, as publishers, until a subscriber has taken some of what is queued for it.
struct back_pressure {
    std::vector<client*> waiting;
    timer limit;
    // It is too slow to be waited for, until its queue was empty once.
    bool is_given_up = false;
};

}  // namespace amqtt
