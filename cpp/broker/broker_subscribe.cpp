// SUBSCRIBE and UNSUBSCRIBE: as many filters at a time as a turn has room for.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "broker/broker.hpp"
#include "broker/log_kinds.hpp"
#include "topic/filter.hpp"

namespace amqtt {
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
std::vector<char> keep_texts(Items& items, Text&& text_of) {
    std::size_t size = 0;
    for (auto& each : items)
        size += text_of(each).size();
    std::vector<char> kept;
    kept.reserve(size);
    for (auto& each : items) {
        std::string_view& text = text_of(each);
        const std::size_t begin = kept.size();
        kept.insert(kept.end(), text.begin(), text.end());
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
    if (has_properties(c.connection.version()) ||
        c.limits.tolerated.has(tolerance::invalid_filter)) {
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
    subscribe_progress progress;
    progress.id = packet.props.integer(property_id::subscription_identifier, 0);
    if (go_on(c, packet, progress)) return;
    unfinished_subscribe rest;
    rest.packet.packet_id = packet.packet_id;
    rest.packet.requests = packet.requests;
    rest.text = keep_texts(
        rest.packet.requests, [](subscription_request & each) -> auto& { return each.filter; });
    rest.progress = std::move(progress);
    finish_later(c, {std::move(rest)});
}

// Asks whether each filter may be subscribed to. False: the rest is for another turn.
bool broker::check_filters(client& c, const subscribe_packet& packet,
                           subscribe_progress& progress) {
    const bool may_stop = packet.requests.size() > few_filters;
    if (!hooks_.wants(hook::check_subscribe)) {
        progress.codes.resize(packet.requests.size(), reason_code::success);
    }
    while (progress.codes.size() < packet.requests.size()) {
        if (may_stop && budget_.is_spent()) return false;
        check_filter(c, packet.requests[progress.codes.size()].filter, progress);
    }
    progress.is_checked = true;
    if (progress.open == 0) c.held.reset();
    return true;
}

void broker::check_filter(client& c, std::string_view name, subscribe_progress& progress) {
    budget_.spend(step_cost::of_filter(name.size()));
    const auto filter = parse_filter(name);
    const reason_code problem = why_not(*c.state, name, filter);
    progress.codes.push_back(problem);
    if (is_failure(problem)) return;
    std::uint64_t ticket = 0;
    decision made = check(*c.state, topic_action::subscribe, filter->filter, ticket);
    if (made.answer == verdict::deny) {
        log_refusal(*c.state, topic_action::subscribe, filter->filter);
        progress.codes.back() = made.refusal();
        progress.reason = std::move(made.reason);
    } else if (made.answer == verdict::pending) {
        // At once: with the client its questions are forgotten.
        if (!c.held) c.held = std::make_unique<held_packet>(held_packet{held_subscribe(), {}});
        c.held->tickets.push_back(ticket);
        ask(ticket, {topic_action::subscribe, std::string(filter->filter), c.state, &c,
                     progress.codes.size() - 1});
        ++progress.open;
    }
}

bool broker::go_on(client& c, const subscribe_packet& packet, subscribe_progress& progress) {
    if (!progress.is_checked && !check_filters(c, packet, progress)) return false;
    if (progress.waits_for_decisions()) return false;
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
            const commit_gate stored(journal_.get(), c, progress.until);
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

reason_code broker::why_not(session& s, std::string_view name,
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
    const reason_code problem = why_not(s, request.filter, filter);
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
        const commit_gate stored(journal_.get(), c, progress.until);
        is_sent = c.connection.send_unsuback(packet.packet_id, progress.codes);
    }
    if (!is_sent) handle(c, no_room_for_answer());
    return true;
}

}  // namespace amqtt
