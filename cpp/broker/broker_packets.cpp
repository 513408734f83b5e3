// What the broker does on each packet of a client.
#include <string>
#include <utility>
#include <vector>

#include "broker/broker.hpp"
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
    if (packet.level == qos::at_most_once) {
        publish_from(c, packet);
        return;
    }
    if (packet.level == qos::at_least_once) {
        c.connection.send_ack(packet_type::puback, packet.packet_id, publish_from(c, packet));
        return;
    }
    packet_id_set& received = c.state->received_qos2();
    reason_code code = reason_code::success;
    if (!received.contains(packet.packet_id)) {
        if (received.size() >= c.receive_quota) {
            handle(c, protocol_violation{reason_code::receive_maximum_exceeded,
                                         "more QoS 2 messages in flight than Receive Maximum"});
            return;
        }
        code = publish_from(c, packet);
        // A refused message ends with its PUBREC: its identifier is free (5.0: MQTT-4.3.3-9).
        if (!is_failure(code)) received.insert(packet.packet_id);
    }
    c.connection.send_ack(packet_type::pubrec, packet.packet_id, code);
}

reason_code broker::publish_from(client& c, const publish_packet& packet) {
    // Topics with '$' are the server's own; what clients send there is acknowledged and dropped.
    if (packet.topic.starts_with('$')) return reason_code::success;
    if (settings_.check_payload_format && !payload_format_holds(packet.props, packet.payload)) {
        return reason_code::payload_format_invalid;
    }
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
    // Where the client can be told, it decides itself what becomes of a message that would not be
    // retained; else those who are there get it.
    const bool can_refuse =
        has_properties(c.connection.version()) && packet.level != qos::at_most_once;
    if (can_refuse && p.retain() && !may_retain(p)) {
        count_not_retained(p);
        return reason_code::quota_exceeded;
    }
    return distribute(p) ? reason_code::success : reason_code::no_matching_subscribers;
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
    const inflight_entry* entry = s.inflight().find(packet_id);
    if (entry && entry->state == inflight_state::awaiting_puback) finish(s, packet_id);
}

void broker::pubrec_received(client& c, const ack_packet& packet) {
    inflight_entry* entry = c.state->inflight().find(packet.packet_id);
    if (entry && entry->state == inflight_state::awaiting_puback) return;  // not a QoS 2 message
    if (entry && is_failure(packet.code)) {
        finish(*c.state, packet.packet_id);
        return;
    }
    if (entry) {
        c.state->inflight().release_content(*entry);
        entry->state = inflight_state::awaiting_pubcomp;
        entry->sent = true;  // by its PUBREL, if the PUBLISH still waited to be sent again
    }
    // An unknown identifier is released all the same, else its receiver keeps it for ever.
    c.connection.send_ack(packet_type::pubrel, packet.packet_id,
                          entry ? reason_code::success : reason_code::packet_identifier_not_found);
}

void broker::pubrel_received(client& c, std::uint16_t packet_id) {
    const bool known = c.state->received_qos2().erase(packet_id) != 0;
    c.connection.send_ack(packet_type::pubcomp, packet_id,
                          known ? reason_code::success : reason_code::packet_identifier_not_found);
}

void broker::pubcomp_received(session& s, std::uint16_t packet_id) {
    const inflight_entry* entry = s.inflight().find(packet_id);
    if (entry && entry->state == inflight_state::awaiting_pubcomp) finish(s, packet_id);
}

void broker::finish(session& s, std::uint16_t packet_id) {
    outbox_.finish(s, packet_id);
    deliver_retained(s);
}

// -- SUBSCRIBE and UNSUBSCRIBE

namespace {

protocol_violation no_room_for_answer() noexcept {
    return {reason_code::packet_too_large, "its Maximum Packet Size has no room for the answer"};
}

}  // namespace

void broker::handle(client& c, const subscribe_packet& packet) {
    for (const subscription_request& request : packet.requests) {
        if (request.options.no_local && request.filter.starts_with("$share/")) {
            handle(c, protocol_error("No Local on a shared subscription"));
            return;
        }
    }
    const std::uint32_t id = packet.props.integer(property_id::subscription_identifier, 0);
    std::vector<reason_code> codes;
    codes.reserve(packet.requests.size());
    for (const subscription_request& request : packet.requests)
        codes.push_back(subscribe(*c.state, request, id));
    if (!c.connection.send_suback(packet.packet_id, codes)) {
        handle(c, no_room_for_answer());
        return;
    }
    deliver_retained(*c.state);
}

reason_code broker::check_filter(session& s, std::string_view name,
                                 const std::optional<parsed_filter>& filter) const {
    if (!filter) return reason_code::topic_filter_invalid;
    const broker_quotas& most = settings_.quotas;
    if (broker_quotas::exceeded(level_count(filter->filter), most.topic_levels)) {
        return reason_code::quota_exceeded;
    }
    const bool too_many =
        broker_quotas::exceeded(s.subscriptions().size() + 1, most.subscriptions) &&
        !s.find_subscription(name);
    return too_many ? reason_code::quota_exceeded : reason_code::success;
}

reason_code broker::subscribe(session& s, const subscription_request& request, std::uint32_t id) {
    const auto filter = parse_filter(request.filter);
    const reason_code problem = check_filter(s, request.filter, filter);
    if (is_failure(problem)) return problem;
    subscription_options granted = request.options;
    granted.level = lower_of(granted.level, settings_.max_qos);
    const bool is_new = router_.subscribe(s, request.filter, *filter, granted, id);
    // Retain Handling, and none for shared subscriptions (section 4.8.2 of 5.0).
    const bool wants_retained =
        filter->share.empty() && (granted.retained == retain_handling::send ||
                                  (granted.retained == retain_handling::send_if_new && is_new));
    if (wants_retained) {
        subscription& wanting = *s.find_subscription(request.filter);
        if (wanting.waiting.is_linked()) wanting.waiting.unlink();
        s.wants_retained.push_back(wanting);
    }
    return static_cast<reason_code>(to_byte(granted.level));
}

void broker::deliver_retained(session& to) {
    while (!to.wants_retained.empty() && to.queue().size() < settings_.queue.messages) {
        const subscription& next = to.wants_retained.front();
        to.wants_retained.pop_front();
        deliver_retained(next);
    }
}

void broker::deliver_retained(const subscription& to) {
    std::vector<message_ptr> found;
    router_.retained().match(to.filter, found);
    for (message_ptr& m : found) {
        if (m->is_expired(now_)) {
            router_.retained().remove(m->topic());
        } else {
            outbox_.deliver_retained(to, std::move(m));
        }
    }
}

void broker::handle(client& c, const unsubscribe_packet& packet) {
    std::vector<reason_code> codes;
    codes.reserve(packet.filters.size());
    for (const std::string_view filter : packet.filters) {
        const bool existed = router_.unsubscribe(*c.state, filter);
        codes.push_back(existed ? reason_code::success : reason_code::no_subscription_existed);
    }
    if (!c.connection.send_unsuback(packet.packet_id, codes)) handle(c, no_room_for_answer());
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
        packet.code == reason_code::success ? will_action::discard : will_action::publish);
}

void broker::handle(client& c, const protocol_violation& violation) {
    log(log_level::warning, c, std::string("closed: ") + violation.what);
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
