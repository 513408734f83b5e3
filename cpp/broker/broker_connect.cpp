// How a connection becomes a client of the broker.
#include <algorithm>
#include <string>
#include <string_view>

#include "broker/broker.hpp"
#include "codec/varint.hpp"

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
    // An identifier of ours could never be resumed by a client of MQTT 3, which is not told it
    // (3.1.1: MQTT-3.1.3-8).
    const bool resumable = packet.clean_start || packet.version == protocol_version::v5_0;
    return packet.client_id.empty() && !resumable
               ? "refused: empty client identifier without Clean Session"
               : nullptr;
}

}  // namespace

void broker::handle(client& c, const connect_packet& packet) {
    c.request.emplace(packet);
    if (packet.props.contains(property_id::authentication_method)) {
        refuse(c, reason_code::bad_authentication_method,
               "refused: its authentication method is not available");
        return;
    }
    if (const char* problem = identifier_problem(packet)) {
        refuse(c, reason_code::client_identifier_not_valid, problem);
        return;
    }
    c.request->id_was_assigned = packet.client_id.empty();
    if (packet.client_id.empty()) c.request->client_id = sessions_.new_client_id();
    c.phase = client_phase::deciding;
    c.ticket = ++last_ticket_;
    switch (hooks_.authenticate(c, c.ticket)) {
        case verdict::allow:
            admit(c);
            break;
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
    end(c, code, will_action::discard);
}

void broker::admit(client& c) {
    connect_request& request = *c.request;
    if (settings_.max_keep_alive != 0 && request.version == protocol_version::v5_0 &&
        (request.keep_alive == 0 || request.keep_alive > settings_.max_keep_alive)) {
        request.keep_alive = settings_.max_keep_alive;
        request.keep_alive_was_changed = true;
    }
    const properties props = connack_properties(c);
    request.limits.topic_alias_maximum =
        std::min(request.limits.topic_alias_maximum, settings_.sent_topic_alias_maximum);
    c.connection.set_limits(request.limits, settings_.topic_alias_maximum);
    if (!c.connection.accepts_connack(props)) {
        refuse(c, reason_code::packet_too_large,
               "refused: its Maximum Packet Size has no room for CONNACK");
        return;
    }
    if (broker_quotas::exceeded(sessions_.size() + 1, settings_.quotas.sessions) &&
        !sessions_.find(request.client_id)) {
        refuse(c, reason_code::quota_exceeded,
               "refused: there are as many sessions as limits.max_sessions admits");
        return;
    }
    bool present = false;
    session& s = session_for(c, present);
    s.expiry.cancel();
    // The client is back in time: its will is not to be published (5.0: MQTT-3.1.3-9).
    s.will_delay.cancel();
    s.delayed_will.reset();
    s.expiry_interval = request.session_expiry_interval;
    s.resend_pending = false;
    s.connection = &c;
    c.state = &s;
    c.phase = client_phase::connected;
    c.idle.cancel();
    if (request.keep_alive != 0) {
        c.idle.kind = keep_alive;
        timers_.set(c.idle, c.connection.keep_alive_deadline(request.keep_alive,
                                                             settings_.keep_alive_extra));
    }
    ++stats_.connections;
    ++stats_.clients_connected;
    stats_.clients_maximum = std::max(stats_.clients_maximum, stats_.clients_connected);
    c.connection.send_connack(present, reason_code::success, props);
    outbox::request_flush(c);
    if (hooks_.wants(hook::client_connected)) hooks_.client_connected(c);
    if (!present) return;
    outbox_.resume(s);
    deliver_retained(s);
}

properties broker::connack_properties(const client& c) const {
    using id = property_id;
    const connect_request& request = *c.request;
    properties props;
    if (request.version != protocol_version::v5_0) return props;
    const auto longest = settings_.session_expiry
                             ? std::chrono::ceil<std::chrono::seconds>(*settings_.session_expiry)
                             : std::chrono::seconds(never_expires);
    if (std::chrono::seconds(request.session_expiry_interval) > longest) {
        props.add(id::session_expiry_interval, static_cast<std::uint32_t>(longest.count()));
    }
    if (settings_.receive_maximum != UINT16_MAX) {
        props.add(id::receive_maximum, settings_.receive_maximum);
    }
    if (settings_.max_packet_size <= varint_max) {
        props.add(id::maximum_packet_size, static_cast<std::uint32_t>(settings_.max_packet_size));
    }
    if (request.id_was_assigned) {
        props.add(id::assigned_client_identifier, std::string_view(request.client_id));
    }
    if (settings_.topic_alias_maximum != 0) {
        props.add(id::topic_alias_maximum, settings_.topic_alias_maximum);
    }
    if (request.keep_alive_was_changed) props.add(id::server_keep_alive, request.keep_alive);
    return props;
}

session& broker::session_for(client& c, bool& present) {
    const connect_request& request = *c.request;
    session* existing = sessions_.find(request.client_id);
    if (existing && existing->connection) {
        take_over(*existing);
        existing = sessions_.find(request.client_id);  // it may have ended with its connection
    }
    if (existing && request.clean_start) {
        drop_session(*existing);
        existing = nullptr;
    }
    present = existing != nullptr;
    return existing ? *existing : sessions_.create(request.client_id);
}

void broker::take_over(session& s) {
    client& old = *s.connection;
    log(log_level::info, old, "closed: its session was taken over by another connection");
    old.connection.send_disconnect(reason_code::session_taken_over);
    // A will with a delay stays with the session: its end publishes the will, resuming does not.
    end(old, reason_code::session_taken_over, will_action::publish);
}

}  // namespace amqtt
