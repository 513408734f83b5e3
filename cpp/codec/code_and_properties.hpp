// The body that DISCONNECT and AUTH share: nothing for success without properties, a Reason Code,
// or that and properties (sections 3.14.2 and 3.15.2).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/reason_code.hpp"
#include "base/result.hpp"
#include "codec/properties.hpp"
#include "codec/reader.hpp"

namespace amqtt {

// Packet has the members code and props.
template <class Packet>
result<Packet> decode_code_and_properties(bytes_view body, property_scope scope) {
    Packet packet;
    if (body.empty()) return packet;
    reader in(body);
    packet.code = static_cast<reason_code>(in.u8());
    if (in.at_end()) return packet;
    auto props = properties::decode(in, scope);
    if (!props) return props.error();
    packet.props = std::move(*props);
    if (!in.at_end()) return malformed("bytes behind the properties");
    return packet;
}

// False: the properties have no encoding.
template <class Packet>
[[nodiscard]] bool encode_code_and_properties(const Packet& packet,
                                              std::vector<std::uint8_t>& body) {
    if (packet.code == reason_code::success && packet.props.empty()) return true;
    body.push_back(to_byte(packet.code));
    return packet.props.empty() || packet.props.encode(body);
}

}  // namespace amqtt
