// How a connection becomes a client of the broker.
#include <algorithm>
#include <string>
#include <string_view>

#include "broker/broker.hpp"
#include "broker/log_kinds.hpp"
#include "broker/payload_format.hpp"
#include "codec/varint.hpp"

namespace amqtt {
namespace {

std::size_t character_count(std::string_view utf8) noexcept {
    return static_cast<std::size_t>(
        std::count_if(utf8.begin(), utf8.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Why a Client Identifier is refused, or nullptr.
const char* identifier_problem(const connect_packet& packet, tolerances tolerated) noexcept {
    if (packet.version == protocol_version::v3_1) {
        const std::size_t count = character_count(packet.client_id);
        const bool too_long = count > 23 && !tolerated.has(tolerance::long_client_id);
        return count < 1 || too_long ? "MQTT 3.1 wants 1 to 23 characters as client identifier"
                                     : nullptr;
    }
    // An identifier of ours could never be resumed by a client of MQTT 3, which is not told it
    // (3.1.1: MQTT-3.1.3-8).
    const bool resumable = packet.clean_start || packet.version == protocol_version::v5_0;
    return packet.client_id.empty() && !resumable ? "empty client identifier without Clean Session"
                                                  : nullptr;
}

bool exceeds(std::uint16_t keep_alive, std::uint16_t longest) noexcept {
    return longest != 0 && (keep_alive == 0 || keep_alive > longest);
}

// The keep alive a client is held to (Server Keep Alive).
std::uint16_t admitted_keep_alive(std::uint16_t asked, const connection_limits& limits) noexcept {
    if (exceeds(asked, limits.max_keep_alive)) return limits.max_keep_alive;
    return asked == 0 ? asked : std::max(asked, limits.min_keep_alive);
}

constexpr std::string_view place = "{client_id}";

// The text goes into topics, where an identifier with these would reach those of other clients.
bool is_unfit(std::string_view text, std::string_view client_id) noexcept {
    if (text.find(place) == std::string_view::npos) return false;
    return client_id.find_first_of("+#/") != std::string_view::npos ||
           (text.starts_with(place) && client_id.starts_with('$'));
}

std::string filled_in(std::string text, std::string_view client_id) {
    for (std::size_t at = text.find(place); at != std::string::npos;
         at = text.find(place, at + client_id.size()))
        text.replace(at, place.size(), client_id);
    return text;
}

}  // namespace

// What the listener or the settings do not admit.
std::optional<protocol_violation> broker::connect_problem(const connect_packet& packet,
                                                          const connection_limits& limits) const {
    using violation = protocol_violation;
    if (!limits.admits(packet.version)) {
        return violation{reason_code::unsupported_protocol_version,
                         "this listener does not serve its protocol version"};
    }
    if (const char* problem = identifier_problem(packet, limits.tolerated)) {
        return violation{reason_code::client_identifier_not_valid, problem};
    }
    // MQTT 3 has no way to tell a client what it is held to.
    if (packet.version != protocol_version::v5_0 &&
        exceeds(packet.keep_alive, limits.max_keep_alive)) {
        return violation{reason_code::not_authorized,
                         "its keep alive is longer than this listener admits"};
    }
    if (!packet.will) return std::nullopt;
    if (packet.will->level > limits.max_qos) {
        return violation{reason_code::qos_not_supported, "the QoS of its will is not supported"};
    }
    if (packet.will->retain && !limits.retain_available) {
        return violation{reason_code::retain_not_supported, "its will is to be retained"};
    }
    if (settings_.check_payload_format &&
        !payload_format_holds(packet.will->props, packet.will->payload)) {
        return violation{reason_code::payload_format_invalid, "its will is not UTF-8 as announced"};
    }
    return std::nullopt;
}

void broker::handle(client& c, const connect_packet& packet) {
    c.request.emplace(packet);
    connect_request& request = *c.request;
    request.limits.topic_alias_maximum =
        std::min(request.limits.topic_alias_maximum, settings_.sent_topic_alias_maximum);
    c.connection.set_peer_limits(request.limits);
    if (const auto problem = connect_problem(packet, c.limits)) {
        refuse(c, problem->code, problem->what);
        return;
    }
    if (!hooks_.has_room_for(c)) {
        refuse_busy(c);
        return;
    }
    request.id_was_assigned = packet.client_id.empty();
    if (packet.client_id.empty()) request.client_id = sessions_.new_client_id();
    if (request.authentication_method()) {
        start_exchange(c);
        take_step(c, {*request.authentication_method(),
                      packet.props.binary(property_id::authentication_data)});
        return;
    }
    if (c.limits.anonymous && !request.user_name()) {
        if (*c.limits.anonymous) {
            admit(c);
        } else {
            refuse(c, reason_code::not_authorized, "this listener wants a user name");
        }
        return;
    }
    c.phase = client_phase::deciding;
    c.ticket = ++last_ticket_;
    switch (hooks_.authenticate(c, c.ticket)) {
        case verdict::allow:
            admit(c);
            break;
        case verdict::deny:
            c.ticket = 0;  // hooks know of their own refusal
            refuse(c, reason_code::not_authorized, "authentication failed");
            break;
        case verdict::pending:
            decisions_.emplace(c.ticket, &c);
            when_due<&broker::decision_timed_out>(c.idle, c);
            timers_.set(c.idle, now_ + settings_.decision_timeout);
            break;
    }
}

std::string_view broker::told(std::string_view why) const noexcept {
    return settings_.reason_strings ? why : std::string_view{};
}

void broker::refuse(client& c, reason_code code, std::string_view why, std::string_view reason) {
    log(log_kinds::connection_refused, c, "refused: " + std::string(why));
    c.connection.send_connack(false, code, {}, reason.empty() ? told(why) : reason);
    end(c, code, will_action::discard);
}

void broker::disconnect(client& c, reason_code code, std::string_view why,
                        std::string_view reason) {
    c.connection.send_disconnect(code, reason.empty() ? told(why) : reason);
    end(c, code, will_action::publish);
}

void broker::admit(client& c) {
    if (refuse_other_user(c) || wait_for_predecessor(c)) return;
    accept_client(c);
}

void broker::accept_client(client& c) {
    // Whoever came in while this one waited may be another user.
    if (refuse_other_user(c)) return;
    connect_request& request = *c.request;
    if (request.version == protocol_version::v5_0) {
        const std::uint16_t admitted = admitted_keep_alive(request.keep_alive, c.limits);
        request.keep_alive_was_changed = admitted != request.keep_alive;
        request.keep_alive = admitted;
    }
    std::string response_information;
    if (request.wants_response_information &&
        is_unfit(settings_.response_information, request.client_id)) {
        log(log_kinds::unfit_identifier, c,
            "got no Response Information, because its identifier has a '+', '#' or '/' or begins "
            "with '$' (protocol.response_information)");
    } else if (request.wants_response_information) {
        response_information = filled_in(settings_.response_information, request.client_id);
    }
    properties props = connack_properties(c, response_information);
    // Nothing obliges the server to give it (section 3.2.2.3.15 of 5.0); what else there is, it
    // must.
    if (!response_information.empty() && !c.connection.accepts_connack(props)) {
        response_information.clear();
        props = connack_properties(c, response_information);
    }
    if (!c.connection.accepts_connack(props)) {
        refuse(c, reason_code::packet_too_large, "its Maximum Packet Size has no room for CONNACK");
        return;
    }
    if (broker_quotas::exceeded(sessions_.size() + 1, settings_.quotas.sessions) &&
        !sessions_.find(request.client_id)) {
        refuse(c, reason_code::quota_exceeded,
               "there are as many sessions as limits.max_sessions admits");
        return;
    }
    if (!has_room_for(c)) {
        refuse(c, reason_code::quota_exceeded,
               "sessions and clients take as much as limits.max_session_bytes admits");
        return;
    }
    c.connection.set_own_limits(c.limits.max_packet_size, c.limits.topic_alias_maximum);
    const std::uint64_t before = position();
    bool present = false;
    std::optional<std::string> user_name = request.user_name();
    session& s = session_for(c, present);
    // Nothing throws from here until the client has its session, which ends with it.
    // The client is back in time: its will is not to be published (5.0: MQTT-3.1.3-9).
    s.away.reset();
    s.expiry_interval = request.session_expiry_interval;
    s.resend_pending = false;
    s.user_name = std::move(user_name);
    s.login = ++last_login_;
    s.has_owner = true;
    s.connection = &c;
    c.state = &s;
    c.phase = client_phase::connected;
    ++stats_.connections;
    ++stats_.clients_connected;
    stats_.clients_maximum = std::max(stats_.clients_maximum, stats_.clients_connected);
    session_changed(s);
    if (request.version == protocol_version::v5_0) {
        c.receive_quota =
            c.limits.receive_maximum + static_cast<std::uint32_t>(s.received_qos2().size());
    }
    c.idle.cancel();
    when_due<&broker::check_silence>(c.idle, c);
    if (request.keep_alive != 0) {
        timers_.set(c.idle, c.connection.keep_alive_deadline(request.keep_alive,
                                                             settings_.keep_alive_extra));
    }
    {
        // That a session is new, and none is left of before, is told when it will stay so; that
        // there is one, when it will stay.
        const std::uint64_t number = !journal_ ? 0
                                     : present ? journal_->existence_of(s)
                                               : journal_->since(before);
        const commit_gate until(journal_.get(), c, number);
        c.connection.send_connack(present, reason_code::success, props);
    }
    outbox::request_flush(c);
    if (hooks_.wants(hook::client_connected)) hooks_.client_connected(c, present);
    if (!present) {
        s.rights = rights_;
        return;
    }
    check_rights(s);
    if (c.phase != client_phase::connected) return;
    if (outbox_.resume(s)) {
        pump(s);
    } else {
        go_on_later(s);
    }
}

properties broker::connack_properties(const client& c,
                                      const std::string& response_information) const {
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
    if (c.limits.receive_maximum != UINT16_MAX) {
        props.add(id::receive_maximum, c.limits.receive_maximum);
    }
    if (c.limits.max_qos != qos::exactly_once) {
        props.add(id::maximum_qos, to_byte(c.limits.max_qos));
    }
    if (!c.limits.retain_available) props.add(id::retain_available, 0U);
    if (c.limits.max_packet_size <= varint_max) {
        props.add(id::maximum_packet_size, static_cast<std::uint32_t>(c.limits.max_packet_size));
    }
    if (request.id_was_assigned) {
        props.add(id::assigned_client_identifier, std::string_view(request.client_id));
    }
    if (c.limits.topic_alias_maximum != 0) {
        props.add(id::topic_alias_maximum, c.limits.topic_alias_maximum);
    }
    if (request.keep_alive_was_changed) props.add(id::server_keep_alive, request.keep_alive);
    if (!response_information.empty()) {
        props.add(id::response_information, std::string_view(response_information));
    }
    if (request.authentication_method()) {
        props.add(id::authentication_method, std::string_view(*request.authentication_method()));
    }
    if (!request.authentication_data().empty()) {
        props.add(id::authentication_data, as_bytes(request.authentication_data()));
    }
    return props;
}

}  // namespace amqtt
