// DISCONNECT (section 3.14).
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

struct disconnect_packet {
    reason_code code = reason_code::success;
    properties props;
};

result<disconnect_packet> decode_disconnect(bytes_view body, protocol_version version,
                                            sender from = sender::any);
[[nodiscard]] bool encode(const disconnect_packet& packet, protocol_version version,
                          std::vector<std::uint8_t>& out);

}  // namespace amqtt
