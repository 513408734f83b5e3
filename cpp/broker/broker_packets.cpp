// What the broker does on each packet of a client.
#include <string>
#include <utility>
#include <vector>

#include "broker/broker.hpp"
#include "broker/log_kinds.hpp"
#include "broker/payload_format.hpp"
#include "topic/filter.hpp"

namespace amqtt {

// -- PUBLISH and its acknowledgements

void broker::handle(client& c, const publish_packet& packet) {
    ++stats_.publish_received;
    if (packet.props.contains(property_id::subscription_identifier)) {
        handle(c, protocol_error("Subscription Identifier in a PUBLISH of a client"));
        return;
    }
    if (packet.level > c.limits.max_qos) {
        handle(c, protocol_violation{reason_code::qos_not_supported,
                                     "PUBLISH with a QoS above Maximum QoS"});
        return;
    }
    if (packet.retain && !c.limits.retain_available) {
        handle(c, protocol_violation{reason_code::retain_not_supported,
                                     "PUBLISH to be retained, which is not available"});
        return;
    }
    if (packet.level == qos::exactly_once) {
        packet_id_set& received = c.state->received_qos2();
        if (received.contains(packet.packet_id)) {
            acknowledge(c, packet.level, packet.packet_id, reason_code::success);
            return;
        }
        if (received.size() >= c.receive_quota) {
            handle(c, protocol_violation{reason_code::receive_maximum_exceeded,
                                         "more QoS 2 messages in flight than Receive Maximum"});
            return;
        }
        received.insert(packet.packet_id);
        if (journal_) journal_->received_added(*c.state, packet.packet_id);
    }
    publish_from(c, packet);
}

void broker::acknowledge(client& c, qos level, std::uint16_t packet_id, reason_code code,
                         std::string_view reason, std::uint64_t until) {
    if (level == qos::at_least_once) {
        const commit_gate stored(journal_.get(), c, until);
        c.connection.send_ack(packet_type::puback, packet_id, code, reason);
    } else if (level == qos::exactly_once) {
        // A refused message ends with its PUBREC: its identifier is free (5.0: MQTT-4.3.3-9).
        // MQTT 3 cannot refuse, so there the exchange goes on.
        if (is_failure(code) && has_properties(c.connection.version())) {
            c.state->received_qos2().erase(packet_id);
            if (journal_) journal_->received_removed(*c.state, packet_id);
        }
        const commit_gate stored(journal_.get(), c);
        c.connection.send_ack(packet_type::pubrec, packet_id, code, reason);
    }
}

void broker::publish_from(client& c, const publish_packet& packet) {
    publication p(packet.topic, packet.payload, packet.level, packet.retain);
    p.set_publisher(c.state);
    std::vector<std::uint8_t> forwarded;
    if (!packet.props.empty()) {
        forwarded = forwarded_properties(packet.props);
        p.set_forwarded(forwarded);
        if (packet.props.contains(property_id::message_expiry_interval)) {
            p.set_expiry(packet.props.integer(property_id::message_expiry_interval, 0), now_);
        }
    }
    if (hooks_.wants(hook::message_received)) {
        hooks_.message_received(*c.state, p.share(), packet.packet_id);
    }
    // Topics with '$' are the server's own. MQTT 3 cannot say so: there it looks like success.
    if (packet.topic.starts_with('$')) {
        drops_.count(drop_reason::server_topic, *c.state);
        acknowledge(c, packet.level, packet.packet_id, reason_code::not_authorized);
        return;
    }
    if (settings_.check_payload_format && !payload_format_holds(packet.props, packet.payload)) {
        drops_.count(drop_reason::payload_format, *c.state);
        acknowledge(c, packet.level, packet.packet_id, reason_code::payload_format_invalid);
        return;
    }
    if (hooks_.wants(hook::check_publish)) {
        publish_checked(c, p, packet.packet_id);
    } else {
        publish_allowed(c, p, packet.packet_id);
    }
}

void broker::publish_checked(client& c, publication& p, std::uint16_t packet_id) {
    std::uint64_t ticket = 0;
    const decision made = check(*c.state, topic_action::publish, p.topic(), ticket);
    if (made.answer == verdict::allow) {
        publish_allowed(c, p, packet_id);
    } else if (made.answer == verdict::deny) {
        publish_refused(c, p, packet_id, made);
    } else {
        c.held = std::make_unique<held_packet>();
        c.held->what = held_publish{p.share(), p.expiry_interval(), packet_id};
        c.held->tickets.push_back(ticket);
        ask(ticket, {topic_action::publish, std::string(p.topic()), c.state, &c});
    }
}

void broker::publish_allowed(client& c, publication& p, std::uint16_t packet_id) {
    // Where the client can be told, it decides itself what becomes of a message that would not be
    // retained; else those who are there get it.
    const qos level = *p.level();
    const bool can_refuse = has_properties(c.connection.version()) && level != qos::at_most_once;
    if (can_refuse && p.retain() && !may_retain(p)) {
        log_not_retained(p);
        ++stats_.publish_refused;
        acknowledge(c, level, packet_id, reason_code::quota_exceeded);
        return;
    }
    if (hooks_.wants(hook::message_broadcast)) {
        hooks_.message_broadcast(*c.state, p.share(), packet_id);
    }
    const std::uint64_t before = position();
    bool wanted = false;
    if (auto rest = begin_to_distribute(p, wanted)) {
        rest->packet_id = packet_id;
        rest->until = since(before);
        finish_later(c, {std::move(rest)});
        return;
    }
    if (level == qos::at_most_once) return;
    acknowledge(c, level, packet_id,
                wanted ? reason_code::success : reason_code::no_matching_subscribers, {},
                since(before));
}

void broker::publish_refused(client& c, const publication& p, std::uint16_t packet_id,
                             const decision& made) {
    ++stats_.publish_refused;
    log_refusal(*c.state, topic_action::publish, p.topic());
    acknowledge(c, *p.level(), packet_id, made.refusal(), made.reason);
}

void broker::handle(client& c, const ack_packet& packet) {
    switch (packet.type) {
        case packet_type::puback:
            puback_received(*c.state, packet.packet_id);
            break;
        case packet_type::pubrec:
            pubrec_received(c, packet);
            break;
        case packet_type::pubrel:
            pubrel_received(c, packet.packet_id);
            break;
        default:
            pubcomp_received(*c.state, packet.packet_id);
            break;
    }
}

void broker::puback_received(session& s, std::uint16_t packet_id) {
    inflight_entry* const entry = s.inflight().find(packet_id);
    if (entry && entry->state == inflight_state::awaiting_puback) finish(s, *entry);
}

void broker::pubrec_received(client& c, const ack_packet& packet) {
    inflight_entry* entry = c.state->inflight().find(packet.packet_id);
    if (entry && entry->state == inflight_state::awaiting_puback) return;  // not a QoS 2 message
    if (is_failure(packet.code)) {  // which ends the exchange (5.0: MQTT-4.3.3-4)
        if (entry) finish(*c.state, *entry);
        return;
    }
    if (entry) {
        release_content(*c.state, *entry);
        entry->sent = true;  // by its PUBREL, if the PUBLISH still waited to be sent again
    }
    // Its receiver forgets the message with PUBREL, so it must not be sent again.
    const commit_gate stored(journal_.get(), c);
    // An unknown identifier is released all the same, else its receiver keeps it for ever.
    c.connection.send_ack(packet_type::pubrel, packet.packet_id,
                          entry ? reason_code::success : reason_code::packet_identifier_not_found);
}

void broker::release_content(session& s, inflight_entry& entry) {
    if (journal_) {
        if (entry.content) journal_->content_released(entry.ticket, *entry.content);
        journal_->delivery_changed(entry.ticket, entry.packet_id, delivery_state::awaiting_pubcomp);
    }
    s.inflight().release_content(entry);
    entry.state = inflight_state::awaiting_pubcomp;
}

void broker::pubrel_received(client& c, std::uint16_t packet_id) {
    const bool known = c.state->received_qos2().erase(packet_id);
    if (known && journal_) journal_->received_removed(*c.state, packet_id);
    // The client is free to use the identifier for another message.
    const commit_gate stored(journal_.get(), c);
    c.connection.send_ack(packet_type::pubcomp, packet_id,
                          known ? reason_code::success : reason_code::packet_identifier_not_found);
}

void broker::pubcomp_received(session& s, std::uint16_t packet_id) {
    inflight_entry* const entry = s.inflight().find(packet_id);
    if (entry && entry->state == inflight_state::awaiting_pubcomp) finish(s, *entry);
}

void broker::finish(session& s, inflight_entry& entry) {
    outbox_.finish(s, entry);
    pump(s);
}

// -- the end of a connection

void broker::handle(client& c, const disconnect_packet& packet) {
    if (c.phase != client_phase::connected) {
        end(c, packet.code, will_action::discard);
        return;
    }
    if (packet.props.contains(property_id::session_expiry_interval)) {
        const std::uint32_t interval =
            packet.props.integer(property_id::session_expiry_interval, 0);
        if (c.request->session_expiry_interval == 0 && interval != 0) {
            handle(c, protocol_error("DISCONNECT extends a session that was to end"));
            return;
        }
        c.state->expiry_interval = interval;
    }
    // Only a normal disconnection removes the will (5.0: MQTT-3.14.4-3).
    end(c, packet.code,
        packet.code == reason_code::success ? will_action::discard : will_action::publish, true);
}

void broker::handle(client& c, const protocol_violation& violation) {
    log(log_kinds::violation, c, std::string("closed: ") + violation.what);
    if (c.phase == client_phase::connected) {
        c.connection.send_disconnect(violation.code, told(violation.what));
    } else if (c.connection.version_is_known()
                   ? c.connection.version() == protocol_version::v5_0
                   : violation.code == reason_code::unsupported_protocol_version) {
        c.connection.send_connack(false, violation.code, {}, told(violation.what));
    }
    end(c, violation.code, will_action::publish);
}

}  // namespace amqtt
