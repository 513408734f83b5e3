#pragma once

#include <pybind11/pybind11.h>

namespace amqtt {

void register_codes(pybind11::module_& module);
void register_broker(pybind11::module_& module);
void register_message(pybind11::module_& module);
void register_client(pybind11::module_& module);
void register_packets(pybind11::module_& module);
void register_end_process(pybind11::module_& module);

}  // namespace amqtt
