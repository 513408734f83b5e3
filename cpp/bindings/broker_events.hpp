// What comes out of a broker's engine, as Python sees it.
#pragma once

#include <vector>

#include <pybind11/pybind11.h>

#include "bridge/broker_messages.hpp"
#include "engine/broker_engine.hpp"

namespace amqtt {

// Tuples whose first item is the kind of event, a broker_event_kind. Log records that
// follow each other are one of them, with a list of level, logger and text. now: the engine's.
pybind11::list to_python(std::vector<broker_event>& events, instant now);
pybind11::dict to_python(const session_facts& facts);
pybind11::dict to_python(const engine_status& status);

}  // namespace amqtt
