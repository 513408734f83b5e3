// What is kept of sessions and retained messages beyond the process, and how it comes back.
#include <algorithm>
#include <memory>
#include <utility>

#include "broker/broker.hpp"
#include "broker/state_restorer.hpp"

namespace amqtt {

void broker::keep_in(state_store& store, const journal_settings& settings) {
    journal_ = std::make_unique<journal>(store, settings, now_);
    outbox_.keep_in(*journal_);
}

std::optional<instant> broker::commit_if_due(instant now) {
    begin(now);
    const std::optional<instant> due = journal_->commit_if_due();
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
    return journal_ ? journal_->drain() : nullptr;
}

void broker::restore(stored_state part, instant now) {
    begin(now);
    if (!restorer_) {
        restorer_ = std::make_unique<state_restorer>(
            sessions_, router_, *journal_, outbox_, now_,
            [this](std::string text) { hooks_.log(log_level::warning, std::move(text)); });
    }
    restorer_->take(std::move(part), [this](session& created) { count_session(created); });
}

void broker::finish_restore(instant now) {
    begin(now);
    if (!restorer_) return;
    const auto restored = std::move(restorer_);
    restored->finish();
    for (const auto& [to, content, row] : restored->open_deliveries())
        deliver_restored(*to, content, row);
    // A will that is published may reach, and the end of one session change, any of the others.
    for (const auto& [client_id, was_connected] : restored->sessions()) {
        if (session* const s = sessions_.find(client_id)) begin_again(*s, was_connected);
    }
}

void broker::deliver_restored(session& s, const message_ptr& content, const delivery_row& row) {
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
            when_due<&broker::delayed_will_due>(absent.will_delay, s);
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
