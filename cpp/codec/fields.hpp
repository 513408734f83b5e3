// Runs of wire fields by their data types (section 1.5), for packets that need not be legal: the
// packet classes of Python can hold any combination of fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace amqtt {

// The letters that a layout is made of.
enum class field_type : char {
    byte = 'B',
    two_bytes = 'H',
    varint = 'v',   // Variable Byte Integer, in its shortest form or not
    text = 's',     // UTF-8 Encoded String
    binary = 'b',   // Binary Data
    counted = 'p',  // a Variable Byte Integer and that many bytes, kept together: properties
};

// Behind a layout: the layout again, until the data ends.
inline constexpr char repeated_layout = '*';

using field_value = std::variant<std::uint32_t, std::string_view, bytes_view>;

struct field_run {
    std::vector<field_value> values;  // views of the data
    std::size_t missing = 0;          // when not 0: so many bytes more are needed at least
};

// Reads the fields of a layout from the start of data.
result<field_run> read_fields(std::string_view layout, bytes_view data);

// What is wrong with a value for a field, or nullptr.
const char* field_problem(field_type type, const field_value& value) noexcept;

// Appends a field. Precondition: field_problem() finds none.
void write_field(field_type type, const field_value& value, std::vector<std::uint8_t>& out);

}  // namespace amqtt
