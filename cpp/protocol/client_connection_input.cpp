// What a client makes of the packets of its server.
#include <algorithm>
#include <utility>

#include "protocol/client_connection.hpp"

namespace amqtt {
namespace {

// The body is the end of the packet, so its beginning is known too.
bytes_view whole(const frame& packet) noexcept {
    return {packet.body.data() + packet.body.size() - packet.size, packet.size};
}

}  // namespace

client_action client_connection::next(instant now) {
    if (!decided_.empty()) {
        client_action action = std::move(decided_.back());
        decided_.pop_back();
        return action;
    }
    while (true) {
        auto found = feed_.next();
        if (!found) return found.error();
        if (!*found) {
            feed_.stash();
            return client_need_input{};
        }
        last_sent_ = output_.ready().empty() ? last_sent_ : now;
        if (watcher_) watcher_->packet_received(whole(**found));
        if (auto action = decode(**found, now)) return std::move(*action);
    }
}

std::optional<client_action> client_connection::decode(const frame& packet, instant now) {
    const bool flags_matter = packet.type != packet_type::publish;
    if (flags_matter && packet.flags != required_flags(packet.type)) {
        return malformed("reserved flags of the fixed header");
    }
    if (!connected_) return decode_first(packet);
    switch (packet.type) {
        case packet_type::publish:
            return handle_publish(packet);
        case packet_type::puback:
        case packet_type::pubrec:
        case packet_type::pubrel:
        case packet_type::pubcomp:
            return handle_ack(packet);
        case packet_type::suback:
        case packet_type::unsuback:
            return handle_suback(packet);
        case packet_type::pingresp:
            return handle_pingresp(packet, now);
        case packet_type::auth:
            return handle_auth(packet);
        case packet_type::disconnect:
            return handle_disconnect(packet);
        default:
            return protocol_error("packet type a server must not send");
    }
}

std::optional<client_action> client_connection::decode_first(const frame& packet) {
    if (packet.type == packet_type::connack) return handle_connack(packet);
    if (packet.type == packet_type::auth && has_properties(version_)) return handle_auth(packet);
    return protocol_error("first packet is not CONNACK");
}

// -- the beginning and the end

std::optional<client_action> client_connection::handle_connack(const frame& packet) {
    auto decoded = decode_connack(packet.body, version_);
    if (!decoded) return decoded.error();
    if (clean_start_ && decoded->session_present) {  // (5.0: MQTT-3.2.2-4)
        return protocol_error("Session Present, though a clean start was asked for");
    }
    const bool is_v5 = has_properties(version_);
    const std::uint8_t code = is_v5 ? to_byte(decoded->code) : decoded->v3_code;
    if (!is_failure(decoded->code)) {
        if (is_v5) apply(*decoded);
        connected_ = true;
        resume(decoded->session_present);
    }
    return client_connack{code, decoded->session_present, std::move(decoded->props)};
}

void client_connection::apply(const connack_packet& packet) {
    const properties& of_server = packet.props;
    limits_.receive_maximum = static_cast<std::uint16_t>(std::min<std::uint32_t>(
        of_server.integer(property_id::receive_maximum, 65'535), options_.send_maximum));
    limits_.maximum_packet_size = std::min<std::uint32_t>(
        of_server.integer(property_id::maximum_packet_size, largest_packet_size),
        largest_packet_size);
    limits_.maximum_qos = static_cast<qos>(of_server.integer(property_id::maximum_qos, 2));
    limits_.retain_available = of_server.integer(property_id::retain_available, 1) != 0;
    sent_aliases_.set_maximum(
        static_cast<std::uint16_t>(of_server.integer(property_id::topic_alias_maximum, 0)));
    if (!of_server.contains(property_id::server_keep_alive)) return;
    // The server's time in place of ours (5.0: MQTT-3.1.2-21); the reserve before its end stays,
    // and is half of a short time at most.
    const auto ours = std::chrono::seconds(keep_alive_);
    const std::chrono::seconds theirs(of_server.integer(property_id::server_keep_alive, 0));
    const duration reserve =
        options_.ping_after > duration{0} ? duration(ours) - options_.ping_after : duration{0};
    options_.ping_after =
        std::max(duration(theirs) - std::max(reserve, duration{0}), duration(theirs) / 2);
}

// With a session of the server, what is unacknowledged is sent again as it was. Without, the
// messages that the server never confirmed are sent as new ones; those it had confirmed with
// PUBREC were its own and are done.
void client_connection::resume(bool session_present) {
    state_.requests.clear();
    if (!session_present) state_.forget_received();
    std::vector<std::uint16_t> done;
    state_.inflight.for_each([&](inflight_entry& entry) {
        // From here on: whether DUP is to be set when it is sent.
        entry.counts = session_present && entry.sent;
        entry.sent = false;
        if (entry.ticket == 0 && entry.state != inflight_state::awaiting_pubcomp) {
            if (!withdraw(entry)) done.push_back(entry.packet_id);
            return;
        }
        const bool is_released = entry.state == inflight_state::awaiting_pubcomp;
        if (is_released && !session_present) {
            decided_.push_back(client_completed{entry.ticket, 0, reason_code::success, {}});
            done.push_back(entry.packet_id);
        } else if (const auto problem = is_released ? std::nullopt : check(*entry.content)) {
            decided_.push_back(client_refused{entry.ticket, *problem});
            done.push_back(entry.packet_id);
        } else if (is_released || (waiting_.empty() && has_room(entry))) {
            // PUBREL does not wait (5.0: MQTT-3.3.4-8), and stays marked as sent again.
            send_entry(entry, is_released ? false : std::exchange(entry.counts, false));
        } else {
            waiting_.push_back(entry.packet_id);
        }
    });
    for (const std::uint16_t packet_id : done)
        state_.remove(packet_id);
    std::ranges::reverse(decided_);
}

// Nobody waits for the message any more, so it is not sent again. The server may have it and
// must not take the next message with its identifier for it: PUBREL ends that.
bool client_connection::withdraw(inflight_entry& entry) {
    const bool may_be_there = entry.counts && entry.state == inflight_state::awaiting_pubrec;
    if (!may_be_there) return false;
    state_.pubrec_came(entry, reason_code::success);
    send_entry(entry, false);
    return true;
}

std::optional<client_action> client_connection::handle_auth(const frame& packet) {
    if (!has_properties(version_)) return malformed("AUTH in MQTT 3");
    auto decoded = decode_auth(packet.body, sender::server);
    if (!decoded) return decoded.error();
    if (authentication_method_.empty()) {
        return protocol_error("AUTH, though the client has named no Authentication Method");
    }
    if (decoded->props.text(property_id::authentication_method) != authentication_method_) {
        return protocol_error("AUTH with another Authentication Method");
    }
    return client_action(std::move(*decoded));
}

std::optional<client_action> client_connection::handle_disconnect(const frame& packet) {
    if (!has_properties(version_)) return protocol_error("packet type a server must not send");
    auto decoded = decode_disconnect(packet.body, version_, sender::server);
    if (!decoded) return decoded.error();
    if (decoded->props.contains(property_id::session_expiry_interval)) {  // (section 3.14.2.2.2)
        return protocol_error("Session Expiry Interval in a DISCONNECT of the server");
    }
    return client_action(std::move(*decoded));
}

// -- messages

const char* client_connection::resolve_alias(publish_packet& packet) {
    if (!packet.props.contains(property_id::topic_alias)) {
        return packet.topic.empty() ? "PUBLISH with neither topic nor alias" : nullptr;
    }
    const auto alias =
        static_cast<std::uint16_t>(packet.props.integer(property_id::topic_alias, 0));
    if (!received_aliases_.is_allowed(alias)) return "Topic Alias out of range";
    if (!packet.topic.empty()) {
        received_aliases_.store(alias, packet.topic);
        return nullptr;
    }
    packet.topic = received_aliases_.find(alias);
    return packet.topic.empty() ? "unknown Topic Alias" : nullptr;
}

std::optional<client_action> client_connection::handle_publish(const frame& packet) {
    auto decoded = decode_publish(packet.flags, packet.body, version_);
    if (!decoded) return decoded.error();
    publish_packet& received = *decoded;
    if (has_properties(version_)) {
        if (const char* problem = resolve_alias(received)) {
            return protocol_violation{reason_code::topic_alias_invalid, problem};
        }
    }
    if (received.level == qos::at_most_once) return std::move(*decoded);
    const bool is_new = options_.manual_acknowledgement ? note_unacknowledged(received)
                                                        : acknowledge_at_once(received);
    if (!is_new) return std::nullopt;
    if (state_.received_qos2().size() + pending_acks_.size() > receive_maximum_) {
        return protocol_violation{reason_code::receive_maximum_exceeded,
                                  "more messages at once than the client's Receive Maximum"};
    }
    return std::move(*decoded);
}

bool client_connection::acknowledge_at_once(const publish_packet& received) {
    const bool is_qos2 = received.level == qos::exactly_once;
    const bool is_new = !is_qos2 || state_.receive(received.packet_id);
    send_ack(is_qos2 ? packet_type::pubrec : packet_type::puback, received.packet_id,
             reason_code::success);
    return is_new;
}

bool client_connection::note_unacknowledged(const publish_packet& received) {
    if (state_.received_qos2().contains(received.packet_id)) {
        send_ack(packet_type::pubrec, received.packet_id, reason_code::success);
        return false;
    }
    const bool is_qos2 = received.level == qos::exactly_once;
    const bool is_pending = std::ranges::any_of(
        pending_acks_, [&](const pending_ack& one) { return one.packet_id == received.packet_id; });
    if (is_pending) return false;
    pending_acks_.push_back({received.packet_id,
                             is_qos2 ? packet_type::pubrec : packet_type::puback, false,
                             reason_code::success});
    return true;
}

std::optional<client_action> client_connection::handle_ack(const frame& packet) {
    auto decoded = decode_ack(packet.type, packet.body, version_, sender::server);
    if (!decoded) return decoded.error();
    const std::uint16_t packet_id = decoded->packet_id;
    if (packet.type == packet_type::pubrel) {
        const bool known = state_.release(packet_id);
        send_ack(packet_type::pubcomp, packet_id,
                 known ? reason_code::success : reason_code::packet_identifier_not_found);
        return std::nullopt;
    }
    if (packet.type == packet_type::pubrec) return handle_pubrec(*decoded);
    inflight_entry* entry = state_.inflight.find(packet_id);
    const inflight_state expected = packet.type == packet_type::puback
                                        ? inflight_state::awaiting_puback
                                        : inflight_state::awaiting_pubcomp;
    if (!entry || entry->state != expected || !entry->sent) return std::nullopt;
    return complete(*entry, std::move(*decoded));
}

std::optional<client_action> client_connection::handle_pubrec(const ack_packet& received) {
    inflight_entry* entry = state_.inflight.find(received.packet_id);
    if (entry && (entry->state == inflight_state::awaiting_puback || !entry->sent)) {
        return std::nullopt;
    }
    if (is_failure(received.code)) {  // which ends the exchange, whatever it was of
        if (!entry) return std::nullopt;
        return complete(*entry, ack_packet(received));
    }
    if (entry) state_.pubrec_came(*entry, received.code);
    send_ack(packet_type::pubrel, received.packet_id,
             entry ? reason_code::success : reason_code::packet_identifier_not_found);
    return std::nullopt;
}

client_action client_connection::complete(inflight_entry& entry, ack_packet&& last) {
    client_completed done{entry.ticket, last.packet_id, last.code, std::move(last.props)};
    // To a PUBREL that was sent again: the server has released the message before, and PUBCOMP was
    // lost with a connection.
    const bool is_old = entry.counts && last.code == reason_code::packet_identifier_not_found;
    if (last.type == packet_type::pubcomp && (is_old || last.code == reason_code::success)) {
        done.code = static_cast<reason_code>(entry.pubrec_code);
    }
    --unacknowledged_;
    if (is_qos2(entry)) --unacknowledged_qos2_;
    state_.remove(last.packet_id);
    send_waiting();
    return done;
}

// -- other answers

std::optional<client_action> client_connection::handle_suback(const frame& packet) {
    const bool is_suback = packet.type == packet_type::suback;
    auto decoded =
        is_suback ? decode_suback(packet.body, version_) : decode_unsuback(packet.body, version_);
    if (!decoded) return decoded.error();
    const auto it = state_.requests.find(decoded->packet_id);
    if (it == state_.requests.end()) return std::nullopt;
    const std::uint64_t ticket = it->second;
    state_.requests.erase(it);
    return client_subscribed{ticket, std::move(decoded->codes), std::move(decoded->props)};
}

std::optional<client_action> client_connection::handle_pingresp(const frame& packet, instant now) {
    if (!packet.body.empty()) return malformed("PINGRESP with a body");
    if (pings_.empty()) return std::nullopt;
    const std::uint64_t ticket = pings_.front();
    pings_.erase(pings_.begin());
    pinged_ = pings_.empty() ? std::nullopt : std::optional(now);
    if (ticket == 0) return std::nullopt;  // one of our own
    return client_completed{ticket, 0, reason_code::success, {}};
}

}  // namespace amqtt
