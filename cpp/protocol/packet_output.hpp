// PUBLISH and acknowledgements as both sides of a connection send them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "base/message.hpp"
#include "base/output_queue.hpp"
#include "base/qos.hpp"
#include "base/reason_code.hpp"
#include "codec/packet_type.hpp"
#include "codec/protocol_version.hpp"

namespace amqtt {

// A payload above this is sent from the message itself instead of being copied.
inline constexpr std::size_t copied_payload_max = 4096;

// One PUBLISH on its way out. shared is used for large payloads, which are sent from where they
// are; when null the payload is copied.
struct delivery {
    std::string_view topic;
    bytes_view payload;
    qos level = qos::at_most_once;
    bool retain = false;
    bool dup = false;
    std::uint16_t packet_id = 0;
    message_ptr shared;
};

void append_publish(output_queue& out, protocol_version version, const delivery& d);

// An acknowledgement without properties.
void append_ack(output_queue& out, protocol_version version, packet_type type,
                std::uint16_t packet_id, reason_code code);

}  // namespace amqtt
