// Time is a parameter: the core never asks a clock, it is told what time it is.
#pragma once

#include <chrono>

namespace amqtt {

using duration = std::chrono::nanoseconds;

// Time since an origin that the owner of the engine chose; never goes backwards.
using instant = std::chrono::nanoseconds;

}  // namespace amqtt
