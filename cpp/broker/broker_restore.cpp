// What is kept of sessions and retained messages beyond the process, and how it comes back.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "broker/broker.hpp"
#include "broker/restored_state.hpp"
#include "topic/filter.hpp"

namespace amqtt {

void broker::keep_in(state_store& store, const journal_settings& settings) {
    journal_ = std::make_unique<journal>(store, settings, now_);
    outbox_.keep_in(*journal_);
}

std::optional<instant> broker::settle(instant now) {
    begin(now);
    const std::optional<instant> due = journal_->settle();
    // There is room as soon as a batch is handed over, or changes are undone: nobody is to wait for
    // the commit.
    make_use_of_room();
    return due;
}

void broker::make_use_of_room() {
    if (!waits_for_room_ || journal_->is_full()) return;
    waits_for_room_ = false;
    if (!hooks_.is_congested()) resume_clients();
}

void broker::committed(std::uint64_t number, instant now) {
    begin(now);
    journal_->committed(number);
    make_use_of_room();
}

std::unique_ptr<state_changes> broker::take_changes() {
    return journal_ ? journal_->take_rest() : nullptr;
}

void broker::restore(stored_state part, instant now) {
    begin(now);
    if (!restored_) restored_ = std::make_unique<restored_state>();
    for (session_row& row : part.sessions)
        restore_session(row);
    for (const subscription_row& row : part.subscriptions)
        restore_subscription(row);
    for (message_row& row : part.messages)
        restored_->messages[row.id].content = std::move(row.content);
    for (const delivery_row& row : part.deliveries)
        restore_delivery(row);
    for (const received_row& row : part.received) {
        const auto of = restored_->sessions.find(row.session);
        if (of != restored_->sessions.end()) {
            of->second->received_qos2().insert(row.packet_id);
        } else {
            // Somebody has removed the session; its number must not be given again.
            restored_->useless_sessions.push_back(row.session);
        }
    }
    for (const message_row& row : part.retained)
        restore_retained(row);
}

void broker::restore_session(session_row& row) {
    journal_->adopt_session(row.id);
    if (sessions_.find(row.client_id)) {
        hooks_.log(log_level::warning, "the store has two sessions of client '" +
                                           printable(row.client_id) +
                                           "': the one that came first is used");
        restored_->useless_sessions.push_back(row.id);
        return;
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
    if (!row.disconnected_at) restored_->connected.push_back(row.id);
    count_session(s);
    restored_->sessions.emplace(row.id, &s);
}

void broker::restore_subscription(const subscription_row& row) {
    const auto of = restored_->sessions.find(row.session);
    const auto filter = parse_filter(row.name);
    if (of == restored_->sessions.end() || !filter) {
        if (row.id != 0) restored_->useless_subscriptions.push_back(row.id);
        return;
    }
    session& s = *of->second;
    const bool is_known = s.find_subscription(row.name) != nullptr;
    if (is_known && row.id != 0) {
        restored_->useless_subscriptions.push_back(row.id);
        return;
    }
    subscription_options options;
    options.level = row.level;
    options.no_local = row.no_local;
    options.retain_as_published = row.retain_as_published;
    options.retained = static_cast<retain_handling>(row.retain_handling);
    router_.subscribe(s, row.name, *filter, options, row.identifier);
    if (row.id != 0) {
        journal_->adopt(*s.find_subscription(row.name), row.id);
    } else {
        restored_->new_subscriptions.push_back(row);
    }
}

void broker::restore_delivery(const delivery_row& row) {
    const auto of = restored_->sessions.find(row.session);
    const auto found = restored_->messages.find(row.message);
    const bool needs_content = row.state != delivery_state::awaiting_pubcomp;
    const bool has_content = found != restored_->messages.end() && found->second.content;
    const bool is_taken = of != restored_->sessions.end() && row.packet_id != 0 &&
                          of->second->inflight().find(row.packet_id);
    // One that was sent before goes on all the same (section 3.3.2.3.3 of 5.0).
    const bool is_expired =
        has_content && row.packet_id == 0 && found->second.content->is_expired(now_);
    if (of == restored_->sessions.end() || (needs_content && !has_content) || is_taken ||
        is_expired) {
        if (row.id != 0) restored_->useless_deliveries.push_back(row.id);
        return;
    }
    session& s = *of->second;
    message_ptr content = needs_content ? found->second.content : nullptr;
    if (row.id == 0 || row.state == delivery_state::undecided) {
        restored_->new_deliveries.push_back(row);
        if (row.id != 0) restored_->useless_deliveries.push_back(row.id);
        return;
    }
    if (content) found->second.is_wanted = true;
    journal_->adopt_delivery(row.id, content, row.message);
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

void broker::restore_retained(const message_row& row) {
    const message_ptr before = router_.retained().find(row.content->topic());
    if (row.content->is_expired(now_) || (before && row.id != 0)) {
        if (row.id != 0) restored_->useless_retained.push_back(row.id);
        return;
    }
    router_.retained().store(row.content);
    if (row.id != 0) {
        journal_->adopt_retained(*row.content, row.id);
    } else {
        restored_->new_retained.push_back(row.content);
    }
}

void broker::finish_restore(instant now) {
    begin(now);
    if (!restored_) return;
    restored_state& r = *restored_;
    for (const std::uint64_t id : r.useless_deliveries)
        journal_->remove_delivery(id);
    for (const auto& [id, m] : r.messages) {
        if (!m.is_wanted && id != 0) journal_->remove_message(id);
    }
    for (const std::uint64_t id : r.useless_subscriptions)
        journal_->remove_subscription(id);
    for (const std::uint64_t id : r.useless_retained)
        journal_->remove_retained(id);
    for (const std::uint64_t id : r.useless_sessions)
        journal_->remove_session(id);
    for (const subscription_row& row : r.new_subscriptions)
        journal_->subscribed(*r.sessions.at(row.session)->find_subscription(row.name));
    for (const message_ptr& m : r.new_retained)
        journal_->retained_changed(nullptr, m);
    for (const delivery_row& row : r.new_deliveries)
        deliver_restored(row);
    boost::unordered_flat_set<std::uint64_t> connected(r.connected.begin(), r.connected.end());
    // A will that is published may reach, and the end of one session change, any of the others.
    std::vector<std::string> ids;
    for (const auto& [id, s] : r.sessions)
        ids.push_back(s->client_id());
    const auto restored = std::move(restored_);
    for (const std::string& client_id : ids) {
        session* s = sessions_.find(client_id);
        if (s) begin_again(*s, connected.contains(s->record));
    }
}

// What has no place in the store yet, or was not decided.
void broker::deliver_restored(const delivery_row& row) {
    session& s = *restored_->sessions.at(row.session);
    const message_ptr& content = restored_->messages.at(row.message).content;
    route to{&s, row.level, row.retain, false, 0, row.identifiers};
    publication p(content, row.level, std::nullopt);
    if (row.state == delivery_state::undecided && hooks_.wants(hook::check_receive) &&
        !pass_gate(to, p, row.share, row.retain)) {
        return;
    }
    outbox_.push(s, {content, row.level, row.retain, row.identifiers, row.share});
}

// The connection it had ended with the broker that wrote it (5.0: MQTT-3.1.2-8; section 3.1.2.5
// lets a server that failed publish wills when it is back).
void broker::begin_again(session& s, bool was_connected) {
    const duration expiry = expiry_of(s);
    if (expiry == duration{0}) {
        drop_session(s);
        return;
    }
    absence& absent = s.absence_begins();
    const duration away = now_ - absent.since;
    if (was_connected) session_changed(s);
    if (absent.will) {
        const duration delay = std::chrono::seconds(absent.will->delay);
        if (delay > away) {
            absent.will_delay.kind = will_delay;
            timers_.set(absent.will_delay, now_ + delay - away);
        } else {
            const auto will = std::exchange(absent.will, nullptr);
            publish_will(s, *will);
            session_changed(s);
        }
    }
    set_expiry_timer(s, expiry == duration::max() ? expiry : std::max(expiry - away, duration{0}));
}

}  // namespace amqtt
