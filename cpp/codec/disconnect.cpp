#include "codec/disconnect.hpp"

#include "codec/packet_type.hpp"
#include "codec/reader.hpp"
#include "codec/writer.hpp"

namespace amqtt {

result<disconnect_packet> decode_disconnect(bytes_view body, protocol_version version) {
    disconnect_packet packet;
    if (body.empty()) return packet;
    if (!has_properties(version)) return malformed("DISCONNECT with a body");
    reader in(body);
    packet.code = static_cast<reason_code>(in.u8());
    if (in.at_end()) return packet;
    auto props = properties::decode(in, property_scope::disconnect);
    if (!props) return props.error();
    packet.props = std::move(*props);
    if (!in.at_end()) return malformed("bytes behind DISCONNECT");
    return packet;
}

void encode(const disconnect_packet& packet, protocol_version version,
            std::vector<std::uint8_t>& out) {
    std::vector<std::uint8_t> body;
    if (has_properties(version) && (packet.code != reason_code::success || !packet.props.empty())) {
        body.push_back(to_byte(packet.code));
        if (!packet.props.empty()) packet.props.encode(body);
    }
    write_packet(out, packet_type::disconnect, body);
}

}  // namespace amqtt
