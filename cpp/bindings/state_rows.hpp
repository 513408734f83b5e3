// What is stored of sessions and retained messages, as the tuples of amqtt/plugins/storage.py.
#pragma once

#include <pybind11/pybind11.h>

#include "base/time.hpp"
#include "storage/state_changes.hpp"

namespace amqtt {

// now: the engine's, which together with the clock tells what its instants mean.
pybind11::dict to_python(const state_changes& batch, instant now);
// Throws pybind11's errors when a row is not as it is to be.
stored_state to_stored_state(const pybind11::object& part, instant now);

}  // namespace amqtt
