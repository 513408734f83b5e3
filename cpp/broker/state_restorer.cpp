#include "broker/state_restorer.hpp"

#include <algorithm>
#include <utility>

#include <boost/unordered/unordered_flat_set.hpp>

#include "base/log.hpp"
#include "topic/filter.hpp"

namespace amqtt {

void state_restorer::take(stored_state part, const std::function<void(session&)>& created) {
    for (session_row& row : part.sessions)
        if (session* const s = restore_session(row)) created(*s);
    for (const subscription_row& row : part.subscriptions)
        restore_subscription(row);
    for (message_row& row : part.messages)
        messages_[row.id].content = std::move(row.content);
    for (const delivery_row& row : part.deliveries)
        restore_delivery(row);
    for (const received_row& row : part.received) {
        const auto of = found_.find(row.session);
        if (of != found_.end()) {
            of->second->received_qos2().insert(row.packet_id);
        } else {
            // Somebody has removed the session; its number must not be given again.
            useless_sessions_.push_back(row.session);
        }
    }
    for (const message_row& row : part.retained)
        restore_retained(row);
}

session* state_restorer::restore_session(session_row& row) {
    journal_.adopt_session(row.id);
    if (sessions_.find(row.client_id)) {
        log_("the store has two sessions of client '" + printable(row.client_id) +
             "': the one that came first is used");
        useless_sessions_.push_back(row.id);
        return nullptr;
    }
    session& s = sessions_.create(std::move(row.client_id));
    s.record = row.id;
    s.has_owner = row.user_name.has_value();
    if (row.user_name && !row.user_name->empty()) s.user_name = std::move(row.user_name);
    s.expiry_interval = row.expiry_interval;
    absence& away = s.absence_begins();
    // Not in the future, though the clock of the system may have been set back.
    away.since = std::min(row.disconnected_at.value_or(now_), now_);
    if (row.will) away.will = std::make_unique<will_message>(std::move(*row.will));
    if (!row.disconnected_at) connected_.push_back(row.id);
    found_.emplace(row.id, &s);
    return &s;
}

void state_restorer::restore_subscription(const subscription_row& row) {
    const auto of = found_.find(row.session);
    const auto filter = parse_filter(row.name);
    if (of == found_.end() || !filter) {
        if (row.id != 0) useless_subscriptions_.push_back(row.id);
        return;
    }
    session& s = *of->second;
    const bool is_known = s.find_subscription(row.name) != nullptr;
    if (is_known && row.id != 0) {
        useless_subscriptions_.push_back(row.id);
        return;
    }
    subscription_options options;
    options.level = row.level;
    options.no_local = row.no_local;
    options.retain_as_published = row.retain_as_published;
    options.retained = static_cast<retain_handling>(row.retain_handling);
    router_.subscribe(s, row.name, *filter, options, row.identifier);
    if (row.id != 0) {
        journal_.adopt(*s.find_subscription(row.name), row.id);
    } else {
        new_subscriptions_.push_back(row);
    }
}

void state_restorer::restore_delivery(const delivery_row& row) {
    const auto of = found_.find(row.session);
    const auto found = messages_.find(row.message);
    const bool needs_content = row.state != delivery_state::awaiting_pubcomp;
    const bool has_content = found != messages_.end() && found->second.content;
    const bool is_taken =
        of != found_.end() && row.packet_id != 0 && of->second->inflight().find(row.packet_id);
    // One that was sent before goes on all the same (section 3.3.2.3.3 of 5.0).
    const bool is_expired =
        has_content && row.packet_id == 0 && found->second.content->is_expired(now_);
    if (of == found_.end() || (needs_content && !has_content) || is_taken || is_expired) {
        if (row.id != 0) useless_deliveries_.push_back(row.id);
        return;
    }
    session& s = *of->second;
    message_ptr content = needs_content ? found->second.content : nullptr;
    if (row.id == 0 || row.state == delivery_state::undecided) {
        new_deliveries_.push_back(row);
        if (row.id != 0) useless_deliveries_.push_back(row.id);
        return;
    }
    if (content) found->second.is_wanted = true;
    journal_.adopt_delivery(row.id, content, row.message);
    if (row.packet_id == 0) {
        outbox_.adopt(s, {content, row.level, row.retain, row.identifiers, row.share, row.id});
        return;
    }
    inflight_entry& entry =
        s.inflight().add(row.packet_id, row.level, std::move(content), row.retain);
    entry.ids = row.identifiers;
    entry.share = row.share;
    entry.ticket = row.id;
    if (!needs_content) entry.state = inflight_state::awaiting_pubcomp;
}

void state_restorer::restore_retained(const message_row& row) {
    const message_ptr before = router_.retained().find(row.content->topic());
    if (row.content->is_expired(now_) || (before && row.id != 0)) {
        if (row.id != 0) useless_retained_.push_back(row.id);
        return;
    }
    router_.retained().store(row.content);
    if (row.id != 0) {
        journal_.adopt_retained(*row.content, row.id);
    } else {
        new_retained_.push_back(row.content);
    }
}

void state_restorer::finish() {
    for (const std::uint64_t id : useless_deliveries_)
        journal_.remove_delivery(id);
    for (const auto& [id, m] : messages_) {
        if (!m.is_wanted && id != 0) journal_.remove_message(id);
    }
    for (const std::uint64_t id : useless_subscriptions_)
        journal_.remove_subscription(id);
    for (const std::uint64_t id : useless_retained_)
        journal_.remove_retained(id);
    for (const std::uint64_t id : useless_sessions_)
        journal_.remove_session(id);
    for (const subscription_row& row : new_subscriptions_)
        journal_.subscribed(*found_.at(row.session)->find_subscription(row.name));
    for (const message_ptr& m : new_retained_)
        journal_.retained_changed(nullptr, m);
}

std::vector<state_restorer::open_delivery> state_restorer::open_deliveries() const {
    std::vector<open_delivery> open;
    for (const delivery_row& row : new_deliveries_)
        open.push_back({found_.at(row.session), messages_.at(row.message).content, row});
    return open;
}

std::vector<state_restorer::restored_session> state_restorer::sessions() const {
    const boost::unordered_flat_set<std::uint64_t> connected(connected_.begin(), connected_.end());
    std::vector<restored_session> all;
    for (const auto& [id, s] : found_)
        all.push_back({s->client_id(), connected.contains(id)});
    return all;
}

}  // namespace amqtt
