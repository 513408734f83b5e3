// Conversions that the bindings share.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <pybind11/pybind11.h>

#include "base/bytes.hpp"
#include "base/message.hpp"
#include "base/qos.hpp"
#include "base/time.hpp"

namespace amqtt {

namespace py = pybind11;

inline qos to_qos(int level) {
    if (level < 0 || level > 2) throw py::value_error("QoS must be 0, 1 or 2");
    return static_cast<qos>(level);
}

// From seconds.
inline duration to_duration(double seconds) {
    return std::chrono::duration_cast<duration>(std::chrono::duration<double>(seconds));
}

inline std::optional<qos> to_optional_qos(const std::optional<int>& level) {
    return level ? std::optional(to_qos(*level)) : std::nullopt;
}

// A view of the memory of a bytes or bytearray object (any contiguous buffer), which stays valid
// as long as this object does.
class buffer_view {
  public:
    explicit buffer_view(const py::object& source) {
        if (PyObject_GetBuffer(source.ptr(), &buffer_, PyBUF_SIMPLE) != 0) {
            throw py::error_already_set();
        }
    }
    ~buffer_view() { PyBuffer_Release(&buffer_); }
    buffer_view(const buffer_view&) = delete;
    buffer_view& operator=(const buffer_view&) = delete;

    bytes_view bytes() const noexcept {
        return {static_cast<const std::uint8_t*>(buffer_.buf),
                static_cast<std::size_t>(buffer_.len)};
    }

  private:
    Py_buffer buffer_{};
};

// Refuses what has no place in a field with two length bytes, or is no MQTT text.
inline const std::string& require_field(const char* name, const std::string& value) {
    if (value.size() > 65'535) {
        throw py::value_error(std::string(name).append(" is longer than 65,535 bytes"));
    }
    return value;
}

inline const std::string& require_text(const char* name, const std::string& value) {
    if (value.find('\0') != std::string::npos) {
        throw py::value_error(std::string(name).append(" has a null character"));
    }
    return require_field(name, value);
}

// A message that Python holds.
struct shared_message {
    message_ptr content;
};

inline message_ptr to_message(std::string_view topic, const py::object& payload, qos level,
                              bool retain, bytes_view properties = {}) {
    // What Remaining Length can count, and what of it the other fields may take.
    static constexpr std::size_t largest_packet = 268'435'455;
    static constexpr std::size_t other_fields = 2 + 2 + 5 + 4;
    const buffer_view data(payload);
    require_text("topic", std::string(topic));
    if (topic.size() + data.bytes().size() + properties.size() + other_fields > largest_packet) {
        throw py::value_error("message is too large for an MQTT packet");
    }
    return message::create(topic, data.bytes(), level, retain, properties);
}

inline py::bytes to_python(bytes_view data) {
    return py::bytes(reinterpret_cast<const char*>(data.data()), data.size());
}

inline py::str to_python(std::string_view text) {
    return py::str(text.data(), text.size());
}

}  // namespace amqtt
