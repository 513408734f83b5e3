// Properties of MQTT 5.0 as dictionaries, and the values and errors of the codec in Python.
#pragma once

#include <optional>
#include <utility>

#include <pybind11/pybind11.h>

#include "base/result.hpp"
#include "bindings/convert.hpp"
#include "codec/fields.hpp"
#include "codec/properties.hpp"
#include "codec/protocol_version.hpp"

namespace amqtt {

// Raises MQTTError of amqtt.errors.
[[noreturn]] void throw_mqtt_error(const protocol_violation& violation);

template <class T>
T value_or_throw(result<T> found) {
    if (!found) throw_mqtt_error(found.error());
    return std::move(*found);
}

protocol_version to_protocol_version(int level);

// A view of a Python number, text or buffer, valid as long as this object and the viewed one live.
class wire_value {
  public:
    explicit wire_value(py::handle source);

    const field_value& get() const noexcept { return value_; }

  private:
    std::optional<buffer_view> buffer_;
    field_value value_;
};

// By name; User Property and Subscription Identifier, which may repeat, are lists.
py::dict to_python(const properties& all);

// The data of both begins with the Property Length. What a packet may carry is checked by the
// decoder only.
py::dict decode_properties(int type, const py::object& data, bool of_will);
py::bytes encode_properties(const py::dict& by_name);
// Of properties that were checked before and come without their length; empty when they are wrong.
py::dict decode_bare_properties(bytes_view encoded, property_scope scope);

}  // namespace amqtt
