// The options of a broker and its listeners, from dictionaries that Python has checked.
#pragma once

#include <pybind11/pybind11.h>

#include "bridge/open_questions.hpp"
#include "broker/settings.hpp"
#include "tls/tls_context.hpp"

namespace amqtt {

connection_limits to_connection_limits(const pybind11::dict& options);
broker_quotas to_quotas(const pybind11::dict& options);
// From the same dictionary.
question_limits to_question_limits(const pybind11::dict& options);
tls_settings to_tls_settings(const pybind11::dict& options);
// Sets what the configuration's section `protocol` is about.
void apply_protocol_options(broker_settings& settings, const pybind11::dict& options);

}  // namespace amqtt
