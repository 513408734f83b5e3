#include "broker/journal.hpp"

#include <algorithm>
#include <utility>

#include "broker/outbox.hpp"

namespace amqtt {
namespace {

std::optional<will_row> row_of(const will_message* will) {
    if (!will) return std::nullopt;
    return will_row{will->topic, will->payload,   will->level,          will->retain,
                    will->delay, will->forwarded, will->expiry_interval};
}

session_row row_of(const session& s) {
    session_row row;
    row.id = s.record;
    row.client_id = s.client_id();
    if (s.has_owner) row.user_name = s.user_name.value_or(std::string());
    row.expiry_interval = s.expiry_interval;
    if (s.connection) {
        const connect_request& request = *s.connection->request;
        row.keep_alive = request.keep_alive;
        row.clean_start = request.clean_start;
        row.will = row_of(request.will.get());
    } else if (s.away) {
        row.disconnected_at = s.away->since;
        row.will = row_of(s.away->will.get());
    }
    return row;
}

subscription_row row_of(const subscription& s, std::uint64_t id) {
    subscription_row row;
    row.id = id;
    row.session = s.subscriber->record;
    row.name = s.name();
    row.level = s.options.level;
    row.no_local = s.options.no_local;
    row.retain_as_published = s.options.retain_as_published;
    row.retain_handling = static_cast<std::uint8_t>(s.options.retained);
    row.identifier = s.id;
    return row;
}

template <class Row>
void erase_undone(std::vector<Row>& rows) {
    std::erase_if(rows, [](const Row& row) { return row.id == 0; });
}

}  // namespace

void journal::note() {
    ++position_;
    if (!std::exchange(is_touched_, true)) first_change_ = now_;
    if (!std::exchange(told_store_, true)) store_.changed();
}

// -- sessions

void journal::session_changed(session& s) {
    if (s.record == 0) {
        const bool has_will = s.connection && s.connection->request->will;
        if (s.ends_with_connection() && !has_will) return;
        s.record = next_session_++;
        s.begun_with = open_->number;
    }
    note();
    changed_sessions_.insert(&s);
}

void journal::session_ended(session& s) {
    if (s.record == 0) return;
    note();
    changed_sessions_.erase(&s);
    for (const auto& each : s.subscriptions()) {
        changed_subscriptions_.erase(each.get());
        subscriptions_.erase(each.get());
    }
    // The store removes what it has of the session by itself.
    const auto forget = [&](std::uint64_t& id, const message* content) {
        if (id == 0) return;
        changed_deliveries_.erase(id);
        if (id >= first_delivery_) {
            open_->deliveries[id - first_delivery_].id = 0;
            ++undone_deliveries_;
        }
        if (content) release_message(*content);
        id = 0;
    };
    s.inflight().for_each(
        [&](inflight_entry& entry) { forget(entry.ticket, entry.content.get()); });
    s.queue().for_each([&](queued_message& m) { forget(m.record, m.content.get()); });
    open_->ended_sessions.push_back(s.record);
    s.record = 0;
}

void journal::subscribed(const subscription& s) {
    if (!keeps(*s.subscriber)) return;
    note();
    if (subscriptions_.emplace(&s, next_subscription_).second) ++next_subscription_;
    changed_subscriptions_.insert(&s);
}

void journal::unsubscribed(const subscription& s) {
    const auto kept = subscriptions_.find(&s);
    if (kept == subscriptions_.end()) return;
    note();
    changed_subscriptions_.erase(&s);
    // It may be that only this batch knows of it; then there is nothing to remove, which is no
    // harm.
    open_->removed_subscriptions.push_back(kept->second);
    subscriptions_.erase(kept);
}

// -- messages on their way

std::uint64_t journal::delivery_added(const session& to, const message_ptr& content,
                                      const delivery_row& how) {
    if (!keeps(to) || how.level == qos::at_most_once) return 0;
    note();
    kept_message& kept = messages_[content.get()];
    if (kept.references++ == 0) {
        kept.id = next_message_++;
        open_->messages.push_back({kept.id, content});
        bytes_ += content->size();
    }
    open_->deliveries.push_back(how);
    delivery_row& row = open_->deliveries.back();
    row.id = next_delivery_++;
    row.session = to.record;
    row.message = kept.id;
    return row.id;
}

void journal::delivery_changed(std::uint64_t id, std::uint16_t packet_id, delivery_state state) {
    if (id == 0) return;
    note();
    if (id >= first_delivery_) {
        delivery_row& row = open_->deliveries[id - first_delivery_];
        row.packet_id = packet_id;
        row.state = state;
    } else {
        changed_deliveries_[id] = {id, packet_id, state};
    }
}

void journal::delivery_removed(std::uint64_t id, const message* content) {
    if (id == 0) return;
    note();
    if (id >= first_delivery_) {
        open_->deliveries[id - first_delivery_].id = 0;
        ++undone_deliveries_;
    } else {
        changed_deliveries_.erase(id);
        open_->removed_deliveries.push_back(id);
    }
    if (content) release_message(*content);
}

void journal::content_released(std::uint64_t id, const message& content) {
    if (id == 0) return;
    note();
    release_message(content);
}

void journal::release_message(const message& content) {
    const auto kept = messages_.find(&content);
    if (kept == messages_.end() || --kept->second.references > 0) return;
    const std::uint64_t id = kept->second.id;
    messages_.erase(kept);
    if (id < first_message_) {
        open_->removed_messages.push_back(id);
        return;
    }
    message_row& row = open_->messages[id - first_message_];
    bytes_ -= content.size();
    row.id = 0;
    row.content.reset();
    ++undone_messages_;
}

void journal::received_added(const session& from, std::uint16_t packet_id) {
    if (!keeps(from)) return;
    note();
    const std::pair<std::uint64_t, std::uint16_t> key(from.record, packet_id);
    if (removed_received_.erase(key) == 0) added_received_.insert(key);
}

void journal::received_removed(const session& from, std::uint16_t packet_id) {
    if (!keeps(from)) return;
    note();
    const std::pair<std::uint64_t, std::uint16_t> key(from.record, packet_id);
    if (added_received_.erase(key) == 0) removed_received_.insert(key);
}

void journal::retained_changed(const message_ptr& before, const message_ptr& after) {
    const auto kept = before ? retained_.find(before.get()) : retained_.end();
    if (before == after || (kept == retained_.end() && !after)) return;
    note();
    if (kept != retained_.end()) {
        const std::uint64_t id = kept->second;
        retained_.erase(kept);
        if (added_retained_.erase(id) != 0) {
            bytes_ -= before->size();
        } else {
            open_->removed_retained.push_back(id);
        }
    }
    if (!after) return;
    const std::uint64_t id = next_retained_++;
    retained_.emplace(after.get(), id);
    added_retained_.emplace(id, after);
    bytes_ += after->size();
}

// -- what was restored

void journal::adopt(const subscription& s, std::uint64_t id) {
    subscriptions_[&s] = id;
    next_subscription_ = std::max(next_subscription_, id + 1);
}

void journal::adopt_delivery(std::uint64_t id, const message_ptr& content, std::uint64_t message) {
    next_delivery_ = std::max(next_delivery_, id + 1);
    first_delivery_ = next_delivery_;
    if (!content) return;
    kept_message& kept = messages_[content.get()];
    kept.id = message;
    ++kept.references;
    next_message_ = std::max(next_message_, message + 1);
    first_message_ = next_message_;
}

void journal::adopt_retained(const message& m, std::uint64_t id) {
    retained_[&m] = id;
    next_retained_ = std::max(next_retained_, id + 1);
}

void journal::adopt_session(std::uint64_t id) noexcept {
    next_session_ = std::max(next_session_, id + 1);
}

void journal::remove_session(std::uint64_t id) {
    adopt_session(id);
    note();
    open_->ended_sessions.push_back(id);
}

void journal::remove_subscription(std::uint64_t id) {
    next_subscription_ = std::max(next_subscription_, id + 1);
    note();
    open_->removed_subscriptions.push_back(id);
}

void journal::remove_delivery(std::uint64_t id) {
    adopt_delivery(id, nullptr, 0);
    note();
    open_->removed_deliveries.push_back(id);
}

void journal::remove_message(std::uint64_t id) {
    next_message_ = std::max(next_message_, id + 1);
    first_message_ = next_message_;
    note();
    open_->removed_messages.push_back(id);
}

void journal::remove_retained(std::uint64_t id) {
    next_retained_ = std::max(next_retained_, id + 1);
    note();
    open_->removed_retained.push_back(id);
}

// -- what depends on it

std::uint64_t journal::everything() const noexcept {
    if (!settings_.durable) return 0;
    if (is_touched_) return open_->number;
    return is_committing_ ? open_->number - 1 : 0;
}

void journal::watch(client& c) {
    if (c.connection.gate().is_waiting()) waiting_.insert(&c);
}

void journal::close_after(client& c, std::uint64_t number, reason_code reason) {
    c.close_after = number;
    c.close_reason = reason;
    waiting_.insert(&c);
}

void journal::let_go(std::uint64_t number) {
    committed_ = number;
    boost::unordered::erase_if(waiting_, [number](client* c) {
        gated_output& gate = c->connection.gate();
        if (gate.release(number)) outbox::request_flush(*c);
        if (c->close_after != 0 && c->close_after <= number) {
            c->close_after = 0;
            c->network->close_soon(c->close_reason);
        }
        return !gate.is_waiting() && c->close_after == 0;
    });
}

// -- batches

bool journal::is_full() const noexcept {
    const state_changes& b = *open_;
    const std::size_t changes =
        b.deliveries.size() - undone_deliveries_ + b.messages.size() - undone_messages_ +
        b.removed_deliveries.size() + b.removed_messages.size() + changed_deliveries_.size() +
        changed_sessions_.size() + changed_subscriptions_.size() + added_received_.size() +
        removed_received_.size() + added_retained_.size() + b.removed_retained.size() +
        b.ended_sessions.size() + b.removed_subscriptions.size();
    return changes > settings_.most_changes || bytes_ > settings_.most_bytes;
}

bool journal::is_empty() const noexcept {
    const state_changes& b = *open_;
    return b.deliveries.size() == undone_deliveries_ && b.messages.size() == undone_messages_ &&
           changed_sessions_.empty() && changed_subscriptions_.empty() &&
           changed_deliveries_.empty() && added_received_.empty() && removed_received_.empty() &&
           added_retained_.empty() && b.ended_sessions.empty() && b.removed_subscriptions.empty() &&
           b.removed_messages.empty() && b.removed_deliveries.empty() && b.removed_retained.empty();
}

std::optional<instant> journal::commit_if_due() {
    told_store_ = false;
    if (!is_touched_ || is_committing_) return std::nullopt;
    if (is_empty()) {
        const std::uint64_t number = open_->number;
        begin_batch();
        let_go(number);
        return std::nullopt;
    }
    const instant due = first_change_ + settings_.commit_delay;
    if (now_ < due && !is_full()) return due;
    is_committing_ = true;
    store_.commit(take_batch());
    return std::nullopt;
}

void journal::committed(std::uint64_t number) {
    is_committing_ = false;
    let_go(number);
    if (is_touched_ && !std::exchange(told_store_, true)) store_.changed();
}

std::unique_ptr<state_changes> journal::drain() {
    return is_empty() ? nullptr : take_batch();
}

std::unique_ptr<state_changes> journal::take_batch() {
    state_changes& b = *open_;
    erase_undone(b.deliveries);
    erase_undone(b.messages);
    for (const session* s : changed_sessions_)
        b.sessions.push_back(row_of(*s));
    for (const subscription* s : changed_subscriptions_)
        b.subscriptions.push_back(row_of(*s, subscriptions_.at(s)));
    for (const auto& [id, change] : changed_deliveries_)
        b.delivery_states.push_back(change);
    for (const auto& [session, packet_id] : added_received_)
        b.received.push_back({session, packet_id});
    for (const auto& [session, packet_id] : removed_received_)
        b.removed_received.push_back({session, packet_id});
    for (auto& [id, content] : added_retained_)
        b.retained.push_back({id, std::move(content)});
    auto batch = std::move(open_);
    open_ = std::make_unique<state_changes>();
    open_->number = batch->number;
    begin_batch();
    return batch;
}

void journal::begin_batch() {
    const std::uint64_t next = open_->number + 1;
    // What is left in it was undone.
    open_->deliveries.clear();
    open_->messages.clear();
    open_->number = next;
    first_delivery_ = next_delivery_;
    first_message_ = next_message_;
    undone_deliveries_ = undone_messages_ = 0;
    bytes_ = 0;
    changed_sessions_.clear();
    changed_subscriptions_.clear();
    changed_deliveries_.clear();
    added_received_.clear();
    removed_received_.clear();
    added_retained_.clear();
    is_touched_ = false;
}

}  // namespace amqtt
