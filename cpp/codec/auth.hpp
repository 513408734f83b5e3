// AUTH (section 3.15), which MQTT 5.0 alone has.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/reason_code.hpp"
#include "base/result.hpp"
#include "codec/properties.hpp"
#include "codec/protocol_version.hpp"
#include "codec/reason_codes.hpp"

namespace amqtt {

struct auth_packet {
    reason_code code = reason_code::success;
    properties props;
};

result<auth_packet> decode_auth(bytes_view body, sender from = sender::any);
// As all that encode a packet: appends it. False, and nothing is appended: a field or the packet is
// too long to be encoded.
[[nodiscard]] bool encode(const auth_packet& packet, protocol_version version,
                          std::vector<std::uint8_t>& out);

}  // namespace amqtt
