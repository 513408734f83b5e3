#pragma once

#include <cstdint>
#include <string>

namespace amqtt {

// The numbers are those of Python's logging, where the records end up.
enum class log_level : std::uint8_t { debug = 10, info = 20, warning = 30, error = 40 };

struct log_record {
    log_level level = log_level::info;
    std::string logger;  // name of the Python logger
    std::string text;
};

}  // namespace amqtt
