// What a client is configured with, from Python's dictionaries.
#pragma once

#include <pybind11/pybind11.h>

#include "bridge/client_messages.hpp"
#include "tls/client_tls_context.hpp"

namespace amqtt {

// The keys are those of amqtt/_client/endpoint.py. Throws what Python sees as ValueError.
connect_settings to_connect_settings(const pybind11::dict& values);
client_tls_settings to_client_tls_settings(const pybind11::dict& values);

// Properties by name; None: none. Checked for the packet that is to have them.
encoded_properties to_encoded_properties(const pybind11::object& by_name, property_scope scope);

}  // namespace amqtt
