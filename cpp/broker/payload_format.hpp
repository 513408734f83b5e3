#pragma once

#include "base/bytes.hpp"
#include "codec/properties.hpp"
#include "codec/utf8.hpp"

namespace amqtt {

// Whether a payload is what its Payload Format Indicator says (section 3.3.2.3.2 of 5.0).
inline bool payload_format_holds(const properties& props, bytes_view payload) noexcept {
    return props.integer(property_id::payload_format_indicator, 0) == 0 ||
           is_valid_utf8(as_text(payload));
}

}  // namespace amqtt
