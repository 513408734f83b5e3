#include "codec/auth.hpp"

#include "codec/code_and_properties.hpp"
#include "codec/packet_type.hpp"
#include "codec/reason_codes.hpp"
#include "codec/writer.hpp"

namespace amqtt {

result<auth_packet> decode_auth(bytes_view body) {
    auto packet = decode_code_and_properties<auth_packet>(body, property_scope::auth);
    if (packet && !is_legal(packet_type::auth, packet->code)) return illegal_reason_code();
    return packet;
}

void encode(const auth_packet& packet, protocol_version, std::vector<std::uint8_t>& out) {
    write_packet(out, packet_type::auth, encode_code_and_properties(packet));
}

}  // namespace amqtt
