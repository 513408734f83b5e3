#include "codec/auth.hpp"

#include "codec/code_and_properties.hpp"
#include "codec/packet_type.hpp"
#include "codec/reason_codes.hpp"
#include "codec/writer.hpp"

namespace amqtt {

result<auth_packet> decode_auth(bytes_view body, sender from) {
    auto packet = decode_code_and_properties<auth_packet>(body, property_scope::auth);
    if (packet && !is_legal(packet_type::auth, packet->code, from)) return illegal_reason_code();
    return packet;
}

bool encode(const auth_packet& packet, protocol_version, std::vector<std::uint8_t>& out) {
    std::vector<std::uint8_t> body;
    return encode_code_and_properties(packet, body) && write_packet(out, packet_type::auth, body);
}

}  // namespace amqtt
