#include "protocol/server_connection.hpp"

#include <utility>
#include <vector>

namespace amqtt {
namespace {

template <class T>
server_event as_event(result<T> decoded) {
    if (!decoded) return decoded.error();
    return std::move(*decoded);
}

// DUP of SUBSCRIBE, UNSUBSCRIBE and PUBREL marked a repetition in MQTT 3.1.
bool flags_are_valid(const frame& packet, protocol_version version) noexcept {
    if (packet.type == packet_type::publish) return true;
    std::uint8_t flags = packet.flags;
    const std::uint8_t required = required_flags(packet.type);
    if (version == protocol_version::v3_1 && required != 0) flags &= 0x07;
    return flags == required;
}

}  // namespace

server_event server_connection::next() {
    while (true) {
        auto found = feed_.next();
        if (!found) return found.error();
        if (!*found) {
            feed_.stash();
            return need_input{};
        }
        const frame& packet = **found;
        if (phase_ == phase::connected && packet.type == packet_type::pingreq &&
            packet.flags == 0 && packet.body.empty()) {
            static constexpr std::uint8_t pingresp[] = {first_byte(packet_type::pingresp), 0};
            output_.append(pingresp);
            continue;
        }
        return phase_ == phase::awaiting_connect ? decode_first(packet) : decode(packet);
    }
}

server_event server_connection::decode_first(const frame& packet) {
    if (packet.type != packet_type::connect) return protocol_error("first packet is not CONNECT");
    if (packet.flags != 0) return malformed("reserved flags of CONNECT");
    auto decoded = decode_connect(packet.body);
    if (!decoded) return decoded.error();
    version_ = decoded->version;
    phase_ = phase::connecting;
    return std::move(*decoded);
}

server_event server_connection::decode(const frame& packet) {
    if (!flags_are_valid(packet, version_)) return malformed("reserved flags of the fixed header");
    switch (packet.type) {
        case packet_type::publish:
            return as_event(decode_publish(packet.flags, packet.body, version_));
        case packet_type::puback:
        case packet_type::pubrec:
        case packet_type::pubrel:
        case packet_type::pubcomp: return as_event(decode_ack(packet.type, packet.body, version_));
        case packet_type::subscribe: return as_event(decode_subscribe(packet.body, version_));
        case packet_type::unsubscribe: return as_event(decode_unsubscribe(packet.body, version_));
        case packet_type::disconnect: return as_event(decode_disconnect(packet.body, version_));
        case packet_type::pingreq: return malformed("PINGREQ with a body");
        case packet_type::connect: return protocol_error("second CONNECT");
        case packet_type::reserved: return malformed("packet type 0");
        default: return protocol_error("packet type a client must not send");
    }
}

void server_connection::send_connack(bool session_present, reason_code code) {
    if (code == reason_code::success) {
        phase_ = phase::connected;
    } else if (!has_properties(version_) && !v3_connack_code(code)) {
        return;
    }
    connack_packet packet;
    packet.session_present = session_present && code == reason_code::success;
    packet.code = code;
    std::vector<std::uint8_t> out;
    encode(packet, version_, out);
    append(out);
}

void server_connection::send_suback(std::uint16_t packet_id, std::span<const reason_code> codes) {
    std::vector<std::uint8_t> out;
    encode_suback({packet_id, {codes.begin(), codes.end()}, {}}, version_, out);
    append(out);
}

void server_connection::send_unsuback(std::uint16_t packet_id,
                                      std::span<const reason_code> codes) {
    std::vector<std::uint8_t> out;
    encode_unsuback({packet_id, {codes.begin(), codes.end()}, {}}, version_, out);
    append(out);
}

void server_connection::send_disconnect(reason_code code) {
    if (!has_properties(version_)) return;
    std::vector<std::uint8_t> out;
    encode({code, {}}, version_, out);
    append(out);
}

}  // namespace amqtt
