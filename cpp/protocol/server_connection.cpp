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
            const answer_count counted(*this);
            output_.append(pingresp);
            continue;
        }
        return phase_ == phase::awaiting_connect ? decode_first(packet) : decode(packet);
    }
}

server_event server_connection::decode_first(const frame& packet) {
    if (packet.type != packet_type::connect) return protocol_error("first packet is not CONNECT");
    if (packet.flags != 0) return malformed("reserved flags of CONNECT");
    if (const auto version = requested_version(packet.body)) {
        version_ = *version;
        phase_ = phase::connecting;
    }
    return as_event(decode_connect(packet.body));
}

server_event server_connection::decode(const frame& packet) {
    if (!flags_are_valid(packet, version_)) return malformed("reserved flags of the fixed header");
    switch (packet.type) {
        case packet_type::publish:
            return decode_with_alias(packet);
        case packet_type::puback:
        case packet_type::pubrec:
        case packet_type::pubrel:
        case packet_type::pubcomp:
            return as_event(decode_ack(packet.type, packet.body, version_));
        case packet_type::subscribe:
            return as_event(decode_subscribe(packet.body, version_));
        case packet_type::unsubscribe:
            return as_event(decode_unsubscribe(packet.body, version_));
        case packet_type::disconnect:
            return as_event(decode_disconnect(packet.body, version_));
        case packet_type::pingreq:
            return malformed("PINGREQ with a body");
        case packet_type::connect:
            return protocol_error("second CONNECT");
        case packet_type::reserved:
            return malformed("packet type 0");
        case packet_type::auth:
            // Only with an Authentication Method in CONNECT, and none of those is accepted.
            return protocol_error("AUTH without enhanced authentication");
        default:
            return protocol_error("packet type a client must not send");
    }
}

server_event server_connection::decode_with_alias(const frame& packet) {
    auto decoded = decode_publish(packet.flags, packet.body, version_);
    if (!decoded) return decoded.error();
    publish_packet& publish = *decoded;
    if (!publish.props.contains(property_id::topic_alias)) {
        if (publish.topic.empty()) return protocol_error("PUBLISH with neither topic nor alias");
        return std::move(publish);
    }
    const auto alias =
        static_cast<std::uint16_t>(publish.props.integer(property_id::topic_alias, 0));
    if (!received_aliases_.is_allowed(alias)) {
        return protocol_violation{reason_code::topic_alias_invalid, "Topic Alias out of range"};
    }
    if (!publish.topic.empty()) {
        received_aliases_.store(alias, publish.topic);
    } else {
        publish.topic = received_aliases_.find(alias);
        if (publish.topic.empty()) return protocol_error("unknown Topic Alias");
    }
    return std::move(publish);
}

void server_connection::set_limits(const peer_limits& peer, std::uint16_t own_topic_alias_maximum) {
    max_sent_size_ = peer.maximum_packet_size;
    sent_aliases_.set_maximum(peer.topic_alias_maximum);
    received_aliases_.set_maximum(own_topic_alias_maximum);
}

bool server_connection::accepts(const outgoing_publish& packet, std::size_t more) const noexcept {
    if (max_sent_size_ == UINT32_MAX) return true;
    const std::size_t size = publish_header_size(packet, version_) + packet.payload.size();
    return size + more <= max_sent_size_;
}

void server_connection::send_publish(const outgoing_publish& packet, const message_ptr& owner) {
    // A Topic Alias that is new makes the packet longer: by itself and a longer Property Length.
    static constexpr std::size_t alias_size = 4;
    sent_aliases::choice choice;
    if (has_properties(version_) && accepts(packet, alias_size)) {
        choice = sent_aliases_.choose(packet.topic);
    }
    if (choice.alias == 0) {
        append_publish(output_, version_, packet, owner);
        return;
    }
    outgoing_publish aliased = packet;
    aliased.topic_alias = choice.alias;
    if (choice.known) aliased.topic = {};
    append_publish(output_, version_, aliased, owner);
}

void server_connection::append(const std::vector<std::uint8_t>& packet) {
    if (packet.size() <= max_sent_size_) output_.append(packet);
}

bool server_connection::accepts_connack(const properties& props) const {
    if (max_sent_size_ == UINT32_MAX) return true;
    std::vector<std::uint8_t> out;
    encode(connack_packet{true, reason_code::success, 0, props}, version_, out);
    return out.size() <= max_sent_size_;
}

void server_connection::send_connack(bool session_present, reason_code code,
                                     const properties& props) {
    if (code == reason_code::success) {
        phase_ = phase::connected;
    } else if (!has_properties(version_) && !v3_connack_code(code)) {
        return;
    }
    connack_packet packet;
    packet.session_present = session_present && code == reason_code::success;
    packet.code = code;
    packet.props = props;
    std::vector<std::uint8_t> out;
    encode(packet, version_, out);
    append(out);
}

void server_connection::send_suback(std::uint16_t packet_id, std::span<const reason_code> codes) {
    const answer_count counted(*this);
    std::vector<std::uint8_t> out;
    encode_suback({packet_id, {codes.begin(), codes.end()}, {}}, version_, out);
    append(out);
}

void server_connection::send_unsuback(std::uint16_t packet_id, std::span<const reason_code> codes) {
    const answer_count counted(*this);
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
