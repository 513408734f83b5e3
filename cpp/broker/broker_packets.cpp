// What the broker does on each packet of a client.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "broker/broker.hpp"
#include "topic/filter.hpp"

namespace amqtt {
namespace {

std::size_t character_count(std::string_view utf8) noexcept {
    return static_cast<std::size_t>(
        std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Why a Client Identifier is refused, or nullptr.
const char* identifier_problem(const connect_packet& packet) noexcept {
    if (packet.version == protocol_version::v3_1) {
        const std::size_t count = character_count(packet.client_id);
        return count < 1 || count > 23 ? "refused: MQTT 3.1 wants 1 to 23 characters as client "
                                         "identifier"
                                       : nullptr;
    }
    // An identifier of ours could never be resumed by its client (3.1.1: MQTT-3.1.3-8).
    return packet.client_id.empty() && !packet.clean_start
               ? "refused: empty client identifier without Clean Session"
               : nullptr;
}

}  // namespace

// -- CONNECT

void broker::handle(client& c, const connect_packet& packet) {
    c.request.emplace(packet);
    if (packet.version == protocol_version::v5_0) {
        refuse(c, reason_code::unsupported_protocol_version, "refused: MQTT 5.0 is not served yet");
        return;
    }
    if (const char* problem = identifier_problem(packet)) {
        refuse(c, reason_code::client_identifier_not_valid, problem);
        return;
    }
    if (packet.client_id.empty()) c.request->client_id = sessions_.new_client_id();
    c.phase = client_phase::deciding;
    c.ticket = ++last_ticket_;
    switch (hooks_.authenticate(c, c.ticket)) {
        case verdict::allow: admit(c); break;
        case verdict::deny:
            refuse(c, reason_code::not_authorized, "refused: authentication failed");
            break;
        case verdict::pending:
            decisions_.emplace(c.ticket, &c);
            c.idle.kind = decision_timeout;
            timers_.set(c.idle, now_ + settings_.decision_timeout);
            break;
    }
}

void broker::refuse(client& c, reason_code code, const char* why) {
    if (why) log(log_level::info, c, why);
    c.connection.send_connack(false, code);
    if (!c.connection.output().empty()) outbox::request_flush(c);
    end(c, code, will_action::discard);
}

void broker::admit(client& c) {
    bool present = false;
    session& s = session_for(c, present);
    s.expiry.cancel();
    s.clean = c.request->clean_start;
    s.connection = &c;
    c.state = &s;
    c.phase = client_phase::connected;
    c.idle.cancel();
    if (c.request->keep_alive != 0) {
        c.idle.kind = keep_alive;
        timers_.set(c.idle, c.connection.keep_alive_deadline(c.request->keep_alive,
                                                             settings_.keep_alive_extra));
    }
    ++stats_.connections;
    ++stats_.clients_connected;
    stats_.clients_maximum = std::max(stats_.clients_maximum, stats_.clients_connected);
    c.connection.send_connack(present, reason_code::success);
    outbox::request_flush(c);
    if (hooks_.wants(hook::client_connected)) hooks_.client_connected(c);
    if (present) outbox_.resume(s);
}

session& broker::session_for(client& c, bool& present) {
    session* existing = sessions_.find(c.request->client_id);
    if (existing && existing->connection) {
        take_over(*existing);
        existing = sessions_.find(c.request->client_id);  // a clean one is gone now
    }
    if (existing && c.request->clean_start) {
        drop_session(*existing);
        existing = nullptr;
    }
    present = existing != nullptr;
    return existing ? *existing : sessions_.create(c.request->client_id);
}

void broker::take_over(session& s) {
    client& old = *s.connection;
    log(log_level::info, old, "closed: its session was taken over by another connection");
    old.connection.send_disconnect(reason_code::session_taken_over);
    end(old, reason_code::session_taken_over, will_action::publish);
}

// -- PUBLISH and its acknowledgements

void broker::handle(client& c, const publish_packet& packet) {
    ++stats_.publish_received;
    session& s = *c.state;
    const bool repeated = packet.level == qos::exactly_once &&
                          !s.received_qos2().insert(packet.packet_id).second;
    // Topics with '$' are the server's own; what clients send there is acknowledged and dropped.
    if (!repeated && !packet.topic.starts_with('$')) {
        publication p(packet.topic, packet.payload, packet.level, packet.retain);
        distribute(p);
    }
    if (packet.level == qos::at_least_once) {
        c.connection.send_ack(packet_type::puback, packet.packet_id, reason_code::success);
    } else if (packet.level == qos::exactly_once) {
        c.connection.send_ack(packet_type::pubrec, packet.packet_id, reason_code::success);
    }
}

void broker::handle(client& c, const ack_packet& packet) {
    switch (packet.type) {
        case packet_type::puback: puback_received(*c.state, packet.packet_id); break;
        case packet_type::pubrec: pubrec_received(c, packet.packet_id); break;
        case packet_type::pubrel: pubrel_received(c, packet.packet_id); break;
        default: pubcomp_received(*c.state, packet.packet_id); break;
    }
}

void broker::puback_received(session& s, std::uint16_t packet_id) {
    const inflight_entry* entry = s.inflight().find(packet_id);
    if (!entry || entry->state != inflight_state::awaiting_puback) return;
    s.inflight().remove(packet_id);
    outbox_.pump(s);
}

void broker::pubrec_received(client& c, std::uint16_t packet_id) {
    inflight_entry* entry = c.state->inflight().find(packet_id);
    if (entry && entry->state == inflight_state::awaiting_puback) return;  // not a QoS 2 message
    if (entry) {
        entry->content.reset();
        entry->state = inflight_state::awaiting_pubcomp;
    }
    // An unknown identifier is released all the same, else its receiver keeps it for ever.
    c.connection.send_ack(packet_type::pubrel, packet_id, reason_code::success);
}

void broker::pubrel_received(client& c, std::uint16_t packet_id) {
    c.state->received_qos2().erase(packet_id);
    c.connection.send_ack(packet_type::pubcomp, packet_id, reason_code::success);
}

void broker::pubcomp_received(session& s, std::uint16_t packet_id) {
    const inflight_entry* entry = s.inflight().find(packet_id);
    if (!entry || entry->state != inflight_state::awaiting_pubcomp) return;
    s.inflight().remove(packet_id);
    outbox_.pump(s);
}

// -- SUBSCRIBE and UNSUBSCRIBE

void broker::handle(client& c, const subscribe_packet& packet) {
    std::vector<reason_code> codes;
    codes.reserve(packet.requests.size());
    for (const subscription_request& request : packet.requests)
        codes.push_back(subscribe(*c.state, request));
    c.connection.send_suback(packet.packet_id, codes);
    for (std::size_t i = 0; i < codes.size(); ++i) {
        if (!is_failure(codes[i])) send_retained(*c.state, packet.requests[i]);
    }
}

reason_code broker::subscribe(session& s, const subscription_request& request) {
    if (!is_topic_filter(request.filter)) return reason_code::topic_filter_invalid;
    subscription_options granted = request.options;
    granted.level = lower_of(granted.level, settings_.max_qos);
    router_.subscribe(s, request.filter, granted);
    return static_cast<reason_code>(to_byte(granted.level));
}

void broker::send_retained(session& s, const subscription_request& request) {
    const qos granted = lower_of(request.options.level, settings_.max_qos);
    std::vector<message_ptr> found;
    router_.retained().match(request.filter, found);
    for (message_ptr& m : found)
        outbox_.deliver_retained(s, std::move(m), granted);
}

void broker::handle(client& c, const unsubscribe_packet& packet) {
    std::vector<reason_code> codes;
    codes.reserve(packet.filters.size());
    for (const std::string_view filter : packet.filters) {
        const bool existed = router_.unsubscribe(*c.state, filter);
        codes.push_back(existed ? reason_code::success : reason_code::no_subscription_existed);
    }
    c.connection.send_unsuback(packet.packet_id, codes);
}

// -- the end of a connection

void broker::handle(client& c, const disconnect_packet& packet) {
    end(c, packet.code, will_action::discard);
}

void broker::handle(client& c, const protocol_violation& violation) {
    log(log_level::warning, c, std::string("closed: ") + violation.what);
    if (c.phase == client_phase::connected) {
        c.connection.send_disconnect(violation.code);
    } else if (violation.code == reason_code::unsupported_protocol_version) {
        c.connection.send_connack(false, violation.code);
    }
    end(c, violation.code, will_action::publish);
}

}  // namespace amqtt
