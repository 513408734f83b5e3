// The names of properties (section 2.2.2.2) in lower case, with underscores for blanks.
#pragma once

#include <optional>
#include <string_view>

#include "codec/properties.hpp"

namespace amqtt {

std::string_view property_name(property_id id) noexcept;
std::optional<property_id> property_by_name(std::string_view name) noexcept;

}  // namespace amqtt
