#include "codec/disconnect.hpp"

#include "codec/code_and_properties.hpp"
#include "codec/packet_type.hpp"
#include "codec/reason_codes.hpp"
#include "codec/writer.hpp"

namespace amqtt {

result<disconnect_packet> decode_disconnect(bytes_view body, protocol_version version,
                                            sender from) {
    if (!has_properties(version)) {
        if (!body.empty()) return malformed("DISCONNECT with a body");
        return disconnect_packet{};
    }
    auto packet = decode_code_and_properties<disconnect_packet>(body, property_scope::disconnect);
    if (packet && !is_legal(packet_type::disconnect, packet->code, from)) {
        return illegal_reason_code();
    }
    return packet;
}

bool encode(const disconnect_packet& packet, protocol_version version,
            std::vector<std::uint8_t>& out) {
    std::vector<std::uint8_t> body;
    if (has_properties(version) && !encode_code_and_properties(packet, body)) return false;
    return write_packet(out, packet_type::disconnect, body);
}

}  // namespace amqtt
