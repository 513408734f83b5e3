// Properties of MQTT 5.0 that outlive their packet.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "codec/properties.hpp"

namespace amqtt {

using property_value = std::variant<std::uint32_t, std::string, std::vector<std::uint8_t>,
                                    std::pair<std::string, std::string>>;

struct owned_property {
    property_id id;
    property_value value;
};

using property_list = std::vector<owned_property>;

// Decodes properties as they were encoded, without their length. Empty when they are wrong.
property_list decode_properties(bytes_view encoded, property_scope scope);

// The name the standard gives a property, in lower case with underscores.
const char* name_of(property_id id) noexcept;

}  // namespace amqtt
