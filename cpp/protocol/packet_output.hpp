// PUBLISH and acknowledgements as both sides of a connection send them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/message.hpp"
#include "base/output_queue.hpp"
#include "base/qos.hpp"
#include "base/reason_code.hpp"
#include "codec/packet_type.hpp"
#include "codec/protocol_version.hpp"
#include "codec/publish.hpp"

namespace amqtt {

// A payload above this is sent from the message itself instead of being copied.
inline constexpr std::size_t copied_payload_max = 4096;

// Appends a PUBLISH. owner is used for large payloads, which are sent from where they are; when
// null the payload is copied. False, and nothing is appended: there is no such packet, see
// publish_lengths.
[[nodiscard]] bool append_publish(output_queue& out, protocol_version version,
                                  const outgoing_publish& packet, const message_ptr& owner);

// An acknowledgement without properties.
void append_ack(output_queue& out, protocol_version version, packet_type type,
                std::uint16_t packet_id, reason_code code);

}  // namespace amqtt
