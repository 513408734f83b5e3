// Which Reason Codes a packet may carry (section 2.4 of 5.0, and that of each packet).
#pragma once

#include <cstdint>

#include "base/reason_code.hpp"
#include "base/result.hpp"
#include "codec/packet_type.hpp"

namespace amqtt {

// Who sends a packet; any: either of them, or it is not known.
enum class sender : std::uint8_t { any, client, server };

// Whether a packet that has a Reason Code may carry this one.
bool is_legal(packet_type type, reason_code code, sender from = sender::any) noexcept;

// The code itself if a server may put it into the packet, else the failure that says least.
inline reason_code legal_for_server(packet_type type, reason_code code) noexcept {
    return is_legal(type, code, sender::server) ? code : reason_code::unspecified_error;
}

// What a packet with another one is.
inline protocol_violation illegal_reason_code() noexcept {
    return protocol_error("Reason Code that this packet must not have");
}

}  // namespace amqtt
