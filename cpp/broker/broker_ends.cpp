// How connections and sessions end.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "broker/broker.hpp"
#include "broker/log_kinds.hpp"

namespace amqtt {
namespace {

// Subscriptions and messages of a session that ends at once.
constexpr std::size_t most_at_once = 128;

// The socket may take its time to close: until then only the name is kept, for the log.
void forget_request(client& c) {
    const std::string id = std::move(c.request->client_id);
    connect_packet bare;
    bare.version = c.request->version;
    bare.client_id = id;
    c.request.emplace(bare);
}

}  // namespace

void broker::end(client& c, reason_code reason, will_action action, bool with_commit) {
    if (c.phase == client_phase::closing) return;
    const std::uint64_t before = position();
    const bool was_connected = c.phase == client_phase::connected;
    if (c.phase == client_phase::deciding) decisions_.erase(c.ticket);
    leave_takeover(c);
    throttle_.forget(c);
    attempt([&] { end_exchange(c); });
    if (const auto held = std::exchange(c.held, nullptr)) forget_questions(held->tickets);
    leave_unfinished(c);
    c.phase = client_phase::closing;
    leave_line(c);
    c.unlink();
    c.idle.cancel();
    if (!c.is_processing) c.connection.drop_input();
    kept_.note(c, 0);
    if (was_connected) {
        session& s = *std::exchange(c.state, nullptr);
        s.connection = nullptr;
        --stats_.clients_connected;
        ++stats_.disconnections;
        if (action == will_action::discard) c.request->will.reset();
        leave(c, s, std::move(c.request->will), reason);
    } else if (c.ticket != 0) {
        attempt([&] { hooks_.client_refused(c); });
    }
    if (c.request) forget_request(c);
    count_packets(c);
    if (!c.connection.output().empty()) outbox::request_flush(c);
    // A CONNACK that waits for the store comes before a DISCONNECT behind it; who is to be gone
    // soon does not wait for it.
    const std::uint64_t connack =
        reason == reason_code::server_shutting_down ? 0 : c.connection.gate().connack_and_rest();
    const std::uint64_t until = std::max(with_commit ? since(before) : 0, connack);
    if (until != 0 && attempt([&] { journal_->close_after(c, until, reason); })) return;
    if (journal_) journal_->forget(c);
    c.connection.gate().drop_waiting();
    c.network->close_soon(reason);
}

duration broker::expiry_of(const session& s) const noexcept {
    const duration own = s.expiry_interval == never_expires
                             ? duration::max()
                             : duration(std::chrono::seconds(s.expiry_interval));
    return settings_.session_expiry ? std::min(own, *settings_.session_expiry) : own;
}

// The connection is gone: what becomes of its will and of the session (5.0: MQTT-3.1.3-9).
void broker::leave(client& c, session& s, std::unique_ptr<will_message> will, reason_code reason) {
    const duration expiry = expiry_of(s);
    if (expiry == duration{0}) {
        // Until the session has ended: now.
        if (will) attempt([&] { s.absence_begins().will = std::move(will); });
        drop_session(s, &c, reason);
        return;
    }
    if (attempt([&] { stay_away(c, s, std::move(will), reason, expiry); })) return;
    // It could not be noted that it is away: it must end some time all the same.
    if (!s.away) drop_session(s, &c, reason);
}

void broker::stay_away(client& c, session& s, std::unique_ptr<will_message> will,
                       reason_code reason, duration expiry) {
    absence& away = s.absence_begins();
    away.since = now_;
    set_expiry_timer(s, expiry);
    if (will && will->delay > 0) {
        when_due<&broker::delayed_will_due>(away.will_delay, s);
        timers_.set(away.will_delay, now_ + std::chrono::seconds(will->delay));
        away.will = std::move(will);
    } else if (will) {
        attempt([&] { publish_will(s, *will); });
    }
    session_changed(s);
    if (hooks_.wants(hook::client_disconnected)) hooks_.client_disconnected(c, reason);
}

void broker::set_expiry_timer(session& s, duration left) {
    if (left == duration::max()) return;
    timer& expiry = s.absence_begins().expiry;
    when_due<&broker::session_expired>(expiry, s);
    timers_.set(expiry, now_ + left);
}

void broker::drop_session(session& s, const client* leaving, reason_code reason) {
    attempt([&] { forget_gate(s); });
    attempt([&] { forget_checks(s); });
    sessions_in_line_.erase(&s);
    if (journal_) attempt([&] { journal_->session_ended(s); });
    const bool is_large = s.subscriptions().size() + s.queue().size() > most_at_once;
    if (is_large) {
        s.local_id = session::nobody;
    } else {
        attempt([&] { hand_over_shared(s); });
        router_.unsubscribe_all(s);
    }
    // The session is no member of a shared subscription any more that could be chosen for its will.
    if (s.away) {
        if (const auto will = std::exchange(s.away->will, nullptr)) {
            attempt([&] { publish_will(s, *will); });
        }
    }
    if (leaving && hooks_.wants(hook::client_disconnected)) {
        attempt([&] { hooks_.client_disconnected(*leaving, reason); });
    }
    if (hooks_.wants(hook::session_ended)) attempt([&] { hooks_.session_ended(s); });
    forget_publisher(s);
    if (is_large) {
        remove_later(sessions_.take(s));
    } else {
        sessions_.remove(s);
    }
}

// Messages of shared subscriptions that this member will not acknowledge any more go to another
// (section 4.8.2 of 5.0): those that were not sent, and those sent at QoS 1.
void broker::hand_over_shared(session& s) {
    std::vector<queued_message> left;
    s.inflight().for_each([&](inflight_entry& entry) {
        if (entry.share && entry.state == inflight_state::awaiting_puback) {
            left.push_back({entry.content, qos::at_least_once, entry.retain, nullptr, entry.share});
        }
    });
    s.inflight().clear();
    for (std::size_t n = 0; !s.queue().empty() && n < most_at_once; ++n) {
        budget_.spend(step_cost::delivery);
        queued_message m = s.queue().pop_front();
        if (m.share) left.push_back(std::move(m));
    }
    for (queued_message& m : left) {
        shared_group* group = router_.find_group(*m.share);
        if (!group) continue;
        std::size_t looked_at = 0;
        const subscription* member =
            group->choose(settings_.shared, m.level, nullptr, &s, looked_at);
        if (member) outbox_.redeliver(*member, std::move(m));
    }
}

}  // namespace amqtt
