// What was decoded can be encoded, and then decodes to the same.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/framer.hpp"
#include "input.hpp"

namespace amqtt::fuzz {

inline bytes_view body_of(const std::vector<std::uint8_t>& packet) {
    const framing found = next_frame(packet, packet.size());
    check(found.state == framing::status::complete && found.packet.size == packet.size());
    return found.packet.body;
}

// decode(body) gives a result, encode_packet(value, out) appends the whole packet and returns true.
// The first encoding has the shortest form of everything, so the second must equal it.
template <class Decode, class Encode>
auto round_trip(bytes_view body, const Decode& decode, const Encode& encode_packet) {
    auto decoded = decode(body);
    if (!decoded) return decoded;
    std::vector<std::uint8_t> once;
    check(encode_packet(*decoded, once));
    const auto again = decode(body_of(once));
    check(again.has_value());
    std::vector<std::uint8_t> twice;
    check(encode_packet(*again, twice));
    check(once == twice);
    return decoded;
}

}  // namespace amqtt::fuzz
