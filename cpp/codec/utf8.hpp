#pragma once

#include <string_view>

namespace amqtt {

// Well-formed UTF-8 (RFC 3629) without surrogates, overlong forms and U+0000.
bool is_valid_utf8(std::string_view text) noexcept;

}  // namespace amqtt
