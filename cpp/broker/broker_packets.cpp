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
        const held_back stored(journal_.get(), c, until);
        c.connection.send_ack(packet_type::puback, packet_id, code, reason);
    } else if (level == qos::exactly_once) {
        // A refused message ends with its PUBREC: its identifier is free (5.0: MQTT-4.3.3-9).
        // MQTT 3 cannot refuse, so there the exchange goes on.
        if (is_failure(code) && has_properties(c.connection.version())) {
            c.state->received_qos2().erase(packet_id);
            if (journal_) journal_->received_removed(*c.state, packet_id);
        }
        const held_back stored(journal_.get(), c);
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
    const held_back stored(journal_.get(), c);
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
    const held_back stored(journal_.get(), c);
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

// -- SUBSCRIBE and UNSUBSCRIBE

namespace {

// A bridge hands on what it gets. MQTT 3 has no options by which it could say that it wants neither
// its own messages back nor the RETAIN flags of others removed; in 5.0 it says so itself.
bool is_bridge_of_mqtt_3(const connect_request& request) noexcept {
    return request.is_bridge && !has_properties(request.version);
}

// Of one packet, whose number is not looked at by turns.
constexpr std::size_t few_filters = 16;

// Puts the texts that views point to into memory of their own, and the views there.
template <class Items, class Text>
std::string keep_texts(Items& items, Text&& text_of) {
    std::size_t size = 0;
    for (auto& each : items)
        size += text_of(each).size();
    std::string kept;
    kept.reserve(size);
    for (auto& each : items) {
        std::string_view& text = text_of(each);
        const std::size_t begin = kept.size();
        kept += text;
        text = std::string_view(kept.data() + begin, text.size());
    }
    return kept;
}

protocol_violation no_room_for_answer() noexcept {
    return {reason_code::packet_too_large, "its Maximum Packet Size has no room for the answer"};
}

std::string_view filter_of(const subscription_request& request) noexcept {
    return request.filter;
}

std::string_view filter_of(std::string_view filter) noexcept {
    return filter;
}

}  // namespace

// MQTT 5.0 has a Reason Code for it, MQTT 3 none: a protocol violation (3.1.1: MQTT-4.8.0-1). What
// is shared and how is the business of 5.0 only.
template <class Filters>
std::optional<protocol_violation> broker::filter_problem(const client& c,
                                                         const Filters& filters) const {
    if (has_properties(c.connection.version()) || c.limits.borne.has(tolerance::invalid_filter)) {
        return std::nullopt;
    }
    for (const auto& each : filters) {
        if (!is_topic_filter(filter_of(each))) {
            return protocol_violation{
                reason_code::topic_filter_invalid,
                "topic filter with a wildcard that does not fill its level, or "
                "with '#' before its end"};
        }
    }
    return std::nullopt;
}

void broker::handle(client& c, const subscribe_packet& packet) {
    if (const auto problem = filter_problem(c, packet.requests)) {
        handle(c, *problem);
        return;
    }
    for (const subscription_request& request : packet.requests) {
        if (request.options.no_local && request.filter.starts_with("$share/")) {
            handle(c, protocol_error("No Local on a shared subscription"));
            return;
        }
    }
    const std::uint32_t id = packet.props.integer(property_id::subscription_identifier, 0);
    held_subscribe waiting;
    for (const subscription_request& request : packet.requests) {
        waiting.codes.push_back(reason_code::success);
        if (!hooks_.wants(hook::check_subscribe)) continue;
        const auto filter = parse_filter(request.filter);
        waiting.codes.back() = check_filter(*c.state, request.filter, filter);
        if (is_failure(waiting.codes.back())) continue;
        std::uint64_t ticket = 0;
        decision made = check(*c.state, topic_action::subscribe, filter->filter, ticket);
        if (made.answer == verdict::deny) {
            log_refusal(*c.state, topic_action::subscribe, filter->filter);
            waiting.codes.back() = made.refusal();
            waiting.reason = std::move(made.reason);
        } else if (made.answer == verdict::pending) {
            // At once: with the client its questions are forgotten.
            if (!c.held) c.held = std::make_unique<held_packet>();
            c.held->tickets.push_back(ticket);
            ask(ticket, {topic_action::subscribe, std::string(filter->filter), c.state, &c,
                         waiting.codes.size() - 1});
        }
    }
    if (!c.held) {
        finish_subscribe(c, packet, id, std::move(waiting.codes), waiting.reason);
        return;
    }
    waiting.packet_id = packet.packet_id;
    waiting.id = id;
    waiting.open = c.held->tickets.size();
    for (const subscription_request& request : packet.requests) {
        waiting.filters.emplace_back(request.filter);
        waiting.options.push_back(request.options);
    }
    c.held->what = std::move(waiting);
}

// codes: why a filter is refused, or success.
void broker::finish_subscribe(client& c, const subscribe_packet& packet, std::uint32_t id,
                              std::vector<reason_code> codes, std::string_view reason) {
    subscribe_progress progress;
    progress.id = id;
    progress.codes = std::move(codes);
    progress.reason = reason;
    if (go_on(c, packet, progress)) return;
    unfinished_subscribe rest;
    rest.packet.packet_id = packet.packet_id;
    rest.packet.requests = packet.requests;
    rest.text = keep_texts(
        rest.packet.requests, [](subscription_request & each) -> auto& { return each.filter; });
    rest.progress = std::move(progress);
    finish_later(c, {std::move(rest)});
}

bool broker::go_on(client& c, const subscribe_packet& packet, subscribe_progress& progress) {
    std::vector<reason_code>& codes = progress.codes;
    const bool may_stop = codes.size() > few_filters;
    const std::uint64_t before = position();
    for (; !progress.is_answered && progress.next < codes.size(); ++progress.next) {
        if (may_stop && budget_.is_spent()) {
            if (const std::uint64_t number = since(before)) progress.until = number;
            return false;
        }
        const std::size_t i = progress.next;
        if (is_failure(codes[i])) continue;
        bool wants_retained = false;
        codes[i] = subscribe(*c.state, packet.requests[i], progress.id, wants_retained);
        if (wants_retained) {
            progress.with_retained.emplace_back(i, static_cast<qos>(codes[i]));
        }
    }
    if (!std::exchange(progress.is_answered, true)) {
        progress.next = 0;
        if (const std::uint64_t number = since(before)) progress.until = number;
        bool is_sent = false;
        {
            const held_back stored(journal_.get(), c, progress.until);
            is_sent = c.connection.send_suback(packet.packet_id, codes, progress.reason);
        }
        if (!is_sent) {
            handle(c, no_room_for_answer());
            return true;
        }
    }
    if (!hooks_.wants(hook::client_subscribed)) progress.next = codes.size();
    for (; progress.next < codes.size(); ++progress.next) {
        if (may_stop && budget_.is_spent()) return false;
        const std::size_t i = progress.next;
        if (is_failure(codes[i])) continue;
        budget_.spend(step_cost::event);
        hooks_.client_subscribed(*c.state, packet.requests[i].filter,
                                 static_cast<qos>(to_byte(codes[i])));
    }
    for (const auto& [i, granted] : progress.with_retained) {
        // The application may have removed it meanwhile.
        subscription* const wanting = c.state->find_subscription(packet.requests[i].filter);
        if (wanting) begin_retained(*wanting, granted);
    }
    return true;
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

reason_code broker::subscribe(session& s, const subscription_request& request, std::uint32_t id,
                              bool& wants_retained) {
    const auto filter = parse_filter(request.filter);
    const reason_code problem = check_filter(s, request.filter, filter);
    if (problem == reason_code::quota_exceeded) log_refused_subscription(s);
    if (is_failure(problem)) return problem;
    budget_.spend(step_cost::of_filter(request.filter.size()));
    subscription_options granted = request.options;
    granted.level = lower_of(granted.level, settings_.max_qos);
    if (s.connection && is_bridge_of_mqtt_3(*s.connection->request)) {
        granted.retain_as_published = true;
        granted.no_local = filter->share.empty();
    }
    const bool is_new = router_.subscribe(s, request.filter, *filter, granted, id);
    if (is_new && exceeds_subscription_bytes(s)) {
        router_.unsubscribe(s, request.filter);
        log_refused_subscription(s);
        return reason_code::quota_exceeded;
    }
    if (journal_) journal_->subscribed(*s.find_subscription(request.filter));
    // Retain Handling, and none for shared subscriptions (section 4.8.2 of 5.0).
    wants_retained =
        filter->share.empty() && (granted.retained == retain_handling::send ||
                                  (granted.retained == retain_handling::send_if_new && is_new));
    return static_cast<reason_code>(to_byte(granted.level));
}

void broker::handle(client& c, const unsubscribe_packet& packet) {
    if (const auto problem = filter_problem(c, packet.filters)) {
        handle(c, *problem);
        return;
    }
    unsubscribe_progress progress;
    progress.codes.reserve(packet.filters.size());
    if (go_on(c, packet, progress)) return;
    unfinished_unsubscribe rest;
    rest.packet.packet_id = packet.packet_id;
    rest.packet.filters = packet.filters;
    rest.text = keep_texts(
        rest.packet.filters, [](std::string_view & each) -> auto& { return each; });
    rest.progress = std::move(progress);
    finish_later(c, {std::move(rest)});
}

bool broker::go_on(client& c, const unsubscribe_packet& packet, unsubscribe_progress& progress) {
    const bool may_stop = packet.filters.size() > few_filters;
    const std::uint64_t before = position();
    bool is_over = true;
    for (; progress.next < packet.filters.size(); ++progress.next) {
        is_over = !(may_stop && budget_.is_spent());
        if (!is_over) break;
        const std::string_view filter = packet.filters[progress.next];
        budget_.spend(step_cost::of_filter(filter.size()));
        if (journal_) {
            const subscription* s = c.state->find_subscription(filter);
            if (s) journal_->unsubscribed(*s);
        }
        const bool existed = router_.unsubscribe(*c.state, filter);
        if (hooks_.wants(hook::client_unsubscribed)) hooks_.client_unsubscribed(*c.state, filter);
        progress.codes.push_back(existed ? reason_code::success
                                         : reason_code::no_subscription_existed);
    }
    if (const std::uint64_t number = since(before)) progress.until = number;
    if (!is_over) return false;
    bool is_sent = false;
    {
        const held_back stored(journal_.get(), c, progress.until);
        is_sent = c.connection.send_unsuback(packet.packet_id, progress.codes);
    }
    if (!is_sent) handle(c, no_room_for_answer());
    return true;
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
