#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace amqtt {

// The numbers are those of Python's logging, where the records end up.
enum class log_level : std::uint8_t { debug = 10, info = 20, warning = 30, error = 40 };

struct log_record {
    log_level level = log_level::info;
    std::string logger;  // name of the Python logger
    std::string text;
};

// A text of a peer as it may stand in a line of a log: cut after 256 characters, and with control
// characters, line separators, marks that change the direction of writing, and bytes that are not
// UTF-8 as \xNN or \uNNNN, so that nobody can forge a line. Every text that a peer chose passes
// through here before it is logged; amqtt.logs.printable() does the same in Python.
std::string printable(std::string_view text);

}  // namespace amqtt
