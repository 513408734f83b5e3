#include "protocol/server_connection.hpp"

#include <cstring>
#include <utility>
#include <vector>

#include "codec/writer.hpp"

namespace amqtt {
namespace {

constexpr int most_pings_at_once = 32;

template <class T>
server_event as_event(result<T> decoded) {
    if (!decoded) return decoded.error();
    return std::move(*decoded);
}

// The body is the end of the packet, so its beginning is known too.
bytes_view whole(const frame& packet) noexcept {
    return {packet.body.data() + packet.body.size() - packet.size, packet.size};
}

properties with_reason(std::string_view reason) {
    properties props;
    if (!reason.empty()) props.add(property_id::reason_string, reason);
    return props;
}

}  // namespace

server_event server_connection::next() {
    if (phase_ == phase::awaiting_connect) {
        // The rest of anything else is not waited for.
        const auto first = feed_.first();
        if (first && *first >> 4 != static_cast<int>(packet_type::connect)) {
            return protocol_error("first packet is not CONNECT");
        }
        if (first && *first != first_byte(packet_type::connect)) {
            return malformed("reserved flags of CONNECT");
        }
    }
    for (int pings = 0; pings < most_pings_at_once; ++pings) {
        auto found = feed_.next();
        if (!found) return found.error();
        if (!*found) {
            feed_.stash();
            note_part();
            return no_packet{};
        }
        has_part_ = false;
        last_received_ = last_read_;
        const frame& packet = **found;
        ++counts_.received;
        if (watcher_) watcher_->packet_received(whole(packet));
        if (phase_ == phase::connected && packet.type == packet_type::pingreq &&
            packet.flags == 0 && packet.body.empty() &&
            (packet.has_shortest_length || !has_properties(version_))) {
            static constexpr std::uint8_t pingresp[] = {first_byte(packet_type::pingresp), 0};
            const answer_count counted(*this);
            output_.place(send_class::control).append(pingresp);
            count_sent(pingresp);
            continue;
        }
        return phase_ == phase::awaiting_connect ? decode_first(packet) : decode(packet);
    }
    return no_packet{.input_is_left = true};
}

void server_connection::note_part() noexcept {
    const bool had_part = std::exchange(has_part_, feed_.buffered() != 0);
    if (!has_part_ || had_part) return;
    packet_time_ = last_read_;
    packet_before_ = 0;
}

std::string_view server_connection::second_topic() const noexcept {
    const std::optional<frame> second = feed_.second();
    if (!second || second->type != packet_type::publish) return {};
    return peek_topic(second->body);
}

server_event server_connection::decode_first(const frame& packet) {
    if (const auto version = requested_version(packet.body)) {
        version_ = *version;
        phase_ = phase::connecting;
    }
    if (const char* problem = fixed_header_problem(packet, version_, tolerated_)) {
        note_limits_of(packet.body);
        return malformed(problem);
    }
    auto decoded = decode_connect(packet.body, tolerated_);
    if (!decoded) note_limits_of(packet.body);
    return as_event(std::move(decoded));
}

// The refusal of a CONNECT keeps to what its sender accepts, as far as that can be read; else it is
// as short as can be (5.0: MQTT-3.2.2-19).
void server_connection::note_limits_of(bytes_view refused_connect) {
    static constexpr std::uint32_t shortest_connack = 5;
    max_sent_size_ = shortest_connack;
    if (phase_ == phase::awaiting_connect) {
        version_ = nearest_version(refused_connect).value_or(version_);
    } else if (const auto props = connect_properties(refused_connect)) {
        set_peer_limits({.maximum_packet_size = props->integer(property_id::maximum_packet_size,
                                                               largest_packet_size)});
    }
}

server_event server_connection::decode(const frame& packet) {
    if (const char* problem = fixed_header_problem(packet, version_, tolerated_)) {
        return malformed(problem);
    }
    switch (packet.type) {
        case packet_type::publish:
            return decode_with_alias(packet);
        case packet_type::puback:
        case packet_type::pubrec:
        case packet_type::pubrel:
        case packet_type::pubcomp:
            return as_event(decode_ack(packet.type, packet.body, version_, sender::client));
        case packet_type::subscribe:
            return as_event(decode_subscribe(packet.body, version_));
        case packet_type::unsubscribe:
            return as_event(decode_unsubscribe(packet.body, version_));
        case packet_type::disconnect:
            return as_event(decode_disconnect(packet.body, version_, sender::client));
        case packet_type::pingreq:
            return packet.body.empty() ? protocol_error("PINGREQ before CONNACK")
                                       : malformed("PINGREQ with a body");
        case packet_type::connect:
            return protocol_error("second CONNECT");
        case packet_type::reserved:
            return malformed("packet type 0");
        case packet_type::auth:
            if (!has_properties(version_)) return malformed("AUTH in MQTT 3");
            return as_event(decode_auth(packet.body, sender::client));
        default:
            return protocol_error("packet type a client must not send");
    }
}

server_event server_connection::decode_with_alias(const frame& packet) {
    auto decoded = decode_publish(packet.flags, packet.body, version_, tolerated_);
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

void server_connection::set_peer_limits(const peer_limits& peer) {
    max_sent_size_ = std::min(peer.maximum_packet_size, largest_packet_size);
    peer_wants_problem_information_ = peer.wants_problem_information;
    sent_aliases_.set_maximum(peer.topic_alias_maximum);
}

void server_connection::set_own_limits(std::size_t max_packet_size,
                                       std::uint16_t topic_alias_maximum) {
    feed_.set_max_packet_size(max_packet_size);
    received_aliases_.set_maximum(topic_alias_maximum);
}

bool server_connection::is_small_enough(const outgoing_publish& packet,
                                        std::size_t more) const noexcept {
    const std::size_t size = publish_size(packet, version_);
    return size != 0 && size + more <= max_sent_size_;
}

void server_connection::send_publish(const outgoing_publish& packet, const message_ptr& owner) {
    // A Topic Alias that is new makes the packet longer: by itself and a longer Property Length.
    static constexpr std::size_t alias_size = 4;
    sent_aliases::choice choice;
    if (has_properties(version_) && accepts(packet, alias_size)) {
        choice = sent_aliases_.choose(packet.topic);
    }
    output_queue& out = output_.place(send_class::publish);
    if (choice.alias == 0) {
        if (append_publish(out, version_, packet, owner)) show_publish(packet);
        return;
    }
    outgoing_publish aliased = packet;
    aliased.topic_alias = choice.alias;
    if (choice.known) aliased.topic = {};
    if (append_publish(out, version_, aliased, owner)) show_publish(aliased);
}

void server_connection::show_publish(const outgoing_publish& packet) {
    ++counts_.sent;
    if (!watcher_) return;
    const publish_lengths lengths = lengths_of(packet, version_);
    std::vector<std::uint8_t> encoded(lengths.header);
    write_publish_header(encoded.data(), packet, version_, lengths);
    encoded.insert(encoded.end(), packet.payload.begin(), packet.payload.end());
    watcher_->packet_sent(encoded);
}

void server_connection::count_sent(bytes_view packet) {
    ++counts_.sent;
    if (watcher_) watcher_->packet_sent(packet);
}

bool server_connection::append(send_class what, const std::vector<std::uint8_t>& packet) {
    if (packet.size() > max_sent_size_) return false;
    output_.place(what).append(packet);
    count_sent(packet);
    return true;
}

// (5.0: MQTT-3.2.2-19, MQTT-3.14.2-3, MQTT-3.15.2-2.)
template <class Packet>
bool server_connection::append_with_reason(send_class what, Packet& packet,
                                           std::string_view reason) {
    std::vector<std::uint8_t> out;
    if (!reason.empty() && has_properties(version_)) {
        Packet full = packet;
        full.props.add(property_id::reason_string, reason);
        if (encode(full, version_, out) && append(what, out)) return true;
        out.clear();
    }
    return encode(packet, version_, out) && append(what, out);
}

void server_connection::send_ack(packet_type type, std::uint16_t packet_id, reason_code code,
                                 std::string_view reason) {
    const answer_count counted(*this);
    if (code != reason_code::success) code = legal_for_server(type, code);
    // (5.0: MQTT-3.1.2-29, MQTT-3.4.2-2, MQTT-3.5.2-2.)
    if (!reason.empty() && has_properties(version_) && peer_wants_problem_information_) {
        std::vector<std::uint8_t> body;
        writer to(body);
        to.u16(packet_id);
        to.u8(to_byte(code));
        std::vector<std::uint8_t> out;
        if (with_reason(reason).encode(body) && write_packet(out, type, body) &&
            append(send_class::acknowledgement, out)) {
            return;
        }
    }
    std::uint8_t encoded[ack_size_max];
    const std::size_t size = write_ack(encoded, type, packet_id, code, version_);
    std::memcpy(output_.place(send_class::acknowledgement).allocate(size), encoded, size);
    count_sent({encoded, size});
}

bool server_connection::accepts_connack(const properties& props) const {
    if (!has_properties(version_)) return true;
    std::vector<std::uint8_t> out;
    return encode(connack_packet{true, reason_code::success, 0, props}, version_, out) &&
           out.size() <= max_sent_size_;
}

void server_connection::send_connack(bool session_present, reason_code code,
                                     const properties& props, std::string_view reason) {
    if (code == reason_code::success) {
        phase_ = phase::connected;
    } else if (!has_properties(version_) && !v3_connack_code(code)) {
        return;
    }
    connack_packet packet;
    packet.session_present = session_present && code == reason_code::success;
    // MQTT 3 has return codes of its own.
    packet.code = has_properties(version_) ? legal_for_server(packet_type::connack, code) : code;
    packet.props = props;
    // An accepting CONNACK was found to fit; one that refuses and does not is left out.
    (void)append_with_reason(send_class::connack, packet, reason);
}

bool server_connection::send_auth(reason_code code, const properties& props) {
    std::vector<std::uint8_t> out;
    return encode(auth_packet{code, props}, version_, out) && append(send_class::control, out);
}

bool server_connection::send_suback(std::uint16_t packet_id, std::span<const reason_code> codes,
                                    std::string_view reason) {
    const answer_count counted(*this);
    suback_packet packet{packet_id, {codes.begin(), codes.end()}, {}};
    for (reason_code& code : packet.codes)
        code = legal_for_server(packet_type::suback, code);
    std::vector<std::uint8_t> out;
    // (5.0: MQTT-3.1.2-29, MQTT-3.9.2-1.)
    if (!reason.empty() && has_properties(version_) && peer_wants_problem_information_) {
        packet.props = with_reason(reason);
        if (encode_suback(packet, version_, out) && append(send_class::answer, out)) return true;
        packet.props = {};
        out.clear();
    }
    return encode_suback(packet, version_, out) && append(send_class::answer, out);
}

bool server_connection::send_unsuback(std::uint16_t packet_id, std::span<const reason_code> codes) {
    const answer_count counted(*this);
    std::vector<std::uint8_t> out;
    return encode_unsuback({packet_id, {codes.begin(), codes.end()}, {}}, version_, out) &&
           append(send_class::answer, out);
}

void server_connection::send_disconnect(reason_code code, std::string_view reason,
                                        std::string_view server_reference) {
    if (!has_properties(version_)) return;
    disconnect_packet packet{legal_for_server(packet_type::disconnect, code), {}};
    if (!server_reference.empty()) {
        packet.props.add(property_id::server_reference, server_reference);
        if (append_with_reason(send_class::control, packet, reason)) return;
        packet.props = {};
    }
    (void)append_with_reason(send_class::control, packet, reason);
}

}  // namespace amqtt
