// Any control packet, decoded as strictly as a connection does it.
#pragma once

#include <cstdint>
#include <variant>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "codec/auth.hpp"
#include "codec/connect.hpp"
#include "codec/disconnect.hpp"
#include "codec/packet_type.hpp"
#include "codec/protocol_version.hpp"
#include "codec/publish.hpp"
#include "codec/subscribe.hpp"
#include "codec/tolerance.hpp"

namespace amqtt {

// PINGREQ and PINGRESP, which have no fields.
struct ping_packet {};

// suback_packet stands for SUBACK and UNSUBACK; control_packet::type tells which.
using packet_fields = std::variant<ping_packet, connect_packet, connack_packet, publish_packet,
                                   ack_packet, subscribe_packet, suback_packet, unsubscribe_packet,
                                   disconnect_packet, auth_packet>;

struct control_packet {
    packet_type type = packet_type::reserved;
    std::uint8_t flags = 0;
    std::uint32_t remaining_length = 0;
    packet_fields fields;
};

// Decodes data, which must be one whole packet. A CONNECT says itself which version it has.
result<control_packet> decode_packet(bytes_view data, protocol_version version,
                                     tolerances tolerated = {});

}  // namespace amqtt
