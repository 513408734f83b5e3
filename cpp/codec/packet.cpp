#include "codec/packet.hpp"

#include <cstddef>
#include <limits>
#include <utility>

#include "codec/framer.hpp"

namespace amqtt {
namespace {

template <class Packet>
result<packet_fields> as_fields(result<Packet> decoded) {
    if (!decoded) return decoded.error();
    return packet_fields(std::move(*decoded));
}

// CONNECT says itself which version it has.
protocol_version version_of(const frame& packet, protocol_version of_connection) {
    if (packet.type != packet_type::connect) return of_connection;
    return requested_version(packet.body).value_or(of_connection);
}

result<packet_fields> decode_body(const frame& packet, protocol_version version,
                                  tolerances tolerated) {
    switch (packet.type) {
        case packet_type::connect:
            return as_fields(decode_connect(packet.body, tolerated));
        case packet_type::connack:
            return as_fields(decode_connack(packet.body, version));
        case packet_type::publish:
            return as_fields(decode_publish(packet.flags, packet.body, version, tolerated));
        case packet_type::puback:
        case packet_type::pubrec:
        case packet_type::pubrel:
        case packet_type::pubcomp:
            return as_fields(decode_ack(packet.type, packet.body, version));
        case packet_type::subscribe:
            return as_fields(decode_subscribe(packet.body, version));
        case packet_type::suback:
            return as_fields(decode_suback(packet.body, version));
        case packet_type::unsubscribe:
            return as_fields(decode_unsubscribe(packet.body, version));
        case packet_type::unsuback:
            return as_fields(decode_unsuback(packet.body, version));
        case packet_type::pingreq:
        case packet_type::pingresp:
            if (!packet.body.empty()) return malformed("PINGREQ or PINGRESP with a body");
            return packet_fields(ping_packet{});
        case packet_type::disconnect:
            return as_fields(decode_disconnect(packet.body, version));
        case packet_type::auth:
            if (!has_properties(version)) break;
            return as_fields(decode_auth(packet.body));
        case packet_type::reserved:
            break;
    }
    return malformed("reserved packet type");
}

}  // namespace

result<control_packet> decode_packet(bytes_view data, protocol_version version,
                                     tolerances tolerated) {
    const framing found = next_frame(data, std::numeric_limits<std::size_t>::max());
    if (found.state == framing::status::malformed) {
        return malformed("Remaining Length exceeds four bytes");
    }
    if (found.state != framing::status::complete) return malformed("packet is not complete");
    const frame& packet = found.packet;
    if (packet.size != data.size()) return malformed("bytes behind the packet");
    if (const char* problem =
            fixed_header_problem(packet, version_of(packet, version), tolerated)) {
        return malformed(problem);
    }
    auto fields = decode_body(packet, version, tolerated);
    if (!fields) return fields.error();
    return control_packet{packet.type, packet.flags, static_cast<std::uint32_t>(packet.body.size()),
                          std::move(*fields)};
}

}  // namespace amqtt
