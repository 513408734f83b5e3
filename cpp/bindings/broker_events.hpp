// What comes out of a broker's engine, as Python sees it.
#pragma once

#include <pybind11/pybind11.h>

#include "bridge/broker_messages.hpp"
#include "transport/broker_engine.hpp"

namespace amqtt {

// A tuple whose first item is the kind of event, as in amqtt/_bridge.py.
// now: the engine's.
pybind11::object to_python(broker_event& event, instant now);
pybind11::dict to_python(const session_facts& facts);
pybind11::dict to_python(const engine_status& status);

}  // namespace amqtt
