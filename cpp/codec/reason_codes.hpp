// Which Reason Codes a packet may carry (section 2.4 of 5.0, and that of each packet).
#pragma once

#include "base/reason_code.hpp"
#include "base/result.hpp"
#include "codec/packet_type.hpp"

namespace amqtt {

// Whether a packet that has a Reason Code may carry this one, whoever sends it.
bool is_legal(packet_type type, reason_code code) noexcept;

// What a packet with another one is.
inline protocol_violation illegal_reason_code() noexcept {
    return protocol_error("Reason Code that this packet must not have");
}

}  // namespace amqtt
