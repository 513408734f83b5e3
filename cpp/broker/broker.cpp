#include "broker/broker.hpp"

#include <algorithm>
#include <new>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "broker/log_kinds.hpp"
#include "broker/state_restorer.hpp"

namespace amqtt {
namespace {

// Notes that packets of its input are in use, until it is gone: also by an exception.
struct processing {
    explicit processing(client& c) noexcept : of(c) { of.is_processing = true; }
    ~processing() { of.is_processing = false; }
    processing(const processing&) = delete;
    processing& operator=(const processing&) = delete;
    client& of;
};

// Messages of the broker itself, wills for the most part, that may wait for their turns before new
// clients have to wait as well.
constexpr std::size_t most_unpublished = 1000;
// Expired retained messages that are removed to make room, and those between two turns of others.
constexpr std::size_t expired_at_once = 16;
constexpr std::size_t expired_in_a_turn = 1024;

// (5.0: MQTT-3.1.2-30.)
bool may_come_before_connack(const server_event& event) noexcept {
    return std::holds_alternative<auth_packet>(event) ||
           std::holds_alternative<disconnect_packet>(event) ||
           std::holds_alternative<protocol_violation>(event);
}

}  // namespace

broker::broker(const broker_settings& settings, hooks& policy)
    : settings_(settings),
      hooks_(policy),
      peer_log_([this](log_level level, std::string text) { hooks_.log(level, std::move(text)); }),
      drops_(peer_log_, stats_, now_),
      backlog_(settings.quotas.total_queued_bytes),
      sessions_(settings.queue, settings.random_seed, backlog_),
      outbox_(settings_, stats_, drops_, now_, backlog_, budget_, *this),
      throttle_(settings_.queue, timers_, now_, *this),
      last_ticket_(settings.first_ticket),
      kept_(settings.quotas.unfinished_bytes) {}

broker::~broker() {
    // The entries of the trie belong to the sessions.
    sessions_.for_each([this](session& s) { router_.unsubscribe_all(s); });
    for (auto& [number, s] : locals_)
        router_.unsubscribe_all(*s);
    for (const ended_session& each : ended_)
        router_.unsubscribe_all(*each.what);
}

std::unique_ptr<client> broker::open(connection_control& network, peer_info peer, instant now) {
    now_ = now;
    auto opened = std::make_unique<client>(network, std::move(peer), settings_, pool_);
    clients_.push_back(*opened);
    watch_packets(*opened);
    when_due<&broker::connect_timed_out>(opened->idle, *opened);
    timers_.set(opened->idle, now + opened->limits.connect_timeout);
    return opened;
}

bool broker::receive(client& c, bytes_view input, instant now) {
    begin(now);
    if (c.phase == client_phase::closing) return false;
    stats_.bytes_received += input.size();
    c.connection.receive(input, now);
    if (c.phase == client_phase::deciding || c.held || c.slowed_by || c.has_input_left()) {
        c.connection.pause();
        input_kept(c);
        return false;
    }
    return process_and_check(c);
}

bool broker::process(client& c) {
    const auto can_go_on = [&] {
        c.held_up = c.phase == client_phase::connected && c.is_behind_with_answers(settings_);
        return !c.held_up && !c.held && !c.slowed_by && !c.has_input_left() &&
               c.phase != client_phase::deciding && c.phase != client_phase::closing;
    };
    {
        const processing at_work(c);
        while (can_go_on()) {
            const bool has_to_wait =
                c.phase == client_phase::connecting && publications_.size() > most_unpublished;
            if ((budget_.is_spent() && clients_in_line_ < most_in_line) || has_to_wait) {
                stand_in_line(c.in_line);
                break;
            }
            const server_event event = c.connection.next();
            if (const auto* const none = std::get_if<no_packet>(&event)) {
                if (!none->input_is_left) break;
                budget_.spend(step_cost::pings);
                continue;
            }
            budget_.spend(step_cost::packet);
            if (router_.is_large()) router_.expect(c.connection.second_topic());
            if (c.phase == client_phase::authenticating && !may_come_before_connack(event)) {
                handle(c, protocol_error("neither AUTH nor DISCONNECT before CONNACK"));
                break;
            }
            handle_event(c, event);
        }
    }
    count_packets(c);
    if (c.state && c.state_bytes() != c.counted_state) count_state(c);
    if (!can_go_on() && c.phase != client_phase::closing) c.connection.pause();
    input_kept(c);
    if (!c.connection.output().empty()) outbox::request_flush(c);
    return can_go_on();
}

void broker::handle_event(client& c, const server_event& event) {
    // The two that nearly all packets are come first.
    if (const auto* const publish = std::get_if<publish_packet>(&event)) {
        handle(c, *publish);
    } else if (const auto* const ack = std::get_if<ack_packet>(&event)) {
        handle(c, *ack);
    } else {
        std::visit(
            [&](const auto& what) {
                if constexpr (!std::is_same_v<std::decay_t<decltype(what)>, no_packet>) {
                    handle(c, what);
                }
            },
            event);
    }
}

void broker::count_packets(client& c) {
    const packet_counts counts = c.connection.take_counts();
    stats_.packets_received += counts.received;
    stats_.packets_sent += counts.sent;
}

void broker::closed(client& c, instant now) {
    begin(now);
    end(c, reason_code::unspecified_error, will_action::publish);
    if (journal_) journal_->forget(c);  // also when a CONNACK of it waited for the store
    attempt([&] { throttle_.relieve(c); });
    accept_successors(c);
}

void broker::output_sent(client& c, std::size_t bytes) {
    budget_.begin_short_turn();  // all connections are flushed together
    stats_.bytes_sent += bytes;
    count_packets(c);
    const bool goes_on = c.held_up && !c.is_behind_with_answers(settings_);
    if (c.state) {
        if (!c.state->queue().empty() || c.state->resend_pending) {
            if (!sessions_in_line_.contains(c.state)) pump(*c.state);
        } else {
            deliver_retained(*c.state);
        }
    }
    if (goes_on && c.phase == client_phase::connected) {
        c.held_up = false;
        c.connection.restart_packet(now_);
        go_on(c);
    }
    throttle_.relieve(c);
}

void broker::advance(instant now) {
    begin(now);
    attempt([this] { expire_questions(); });
    attempt([this] { expire_retained(expired_in_a_turn); });
    attempt([this] { outbox_.expire_some(); });
    take_turns();
    budget_.begin_turn();
    attempt([this] { fire_timers(); });
    peer_log_.advance(now);
}

// -- what is done when a timer is due

void broker::delayed_will_due(session& s) {
    const auto will = std::exchange(s.away->will, nullptr);
    publish_will(s, *will);
    session_changed(s);
}

void broker::session_expired(session& s) {
    drop_session(s);
}

void broker::connect_timed_out(client& c) {
    if (c.phase == client_phase::authenticating) {
        refuse(c, reason_code::not_authorized, "it sent no AUTH in time");
        return;
    }
    log(log_kinds::connect_late, c, "sent no CONNECT in time");
    end(c, reason_code::keep_alive_timeout, will_action::discard);
}

void broker::decision_timed_out(client& c) {
    decisions_.erase(c.ticket);
    end_exchange(c);
    refuse(c, reason_code::not_authorized, "no decision on its authentication in time");
}

void broker::predecessor_timed_out(client& c) {
    accept_successors(*c.predecessor);
}

void broker::end_failed(client& c) {
    end(c, reason_code::unspecified_error, will_action::publish);
}

void broker::decide(std::uint64_t ticket, const decision& made, instant now,
                    std::optional<std::string> user_name) {
    begin(now);
    const auto it = decisions_.find(ticket);
    if (it == decisions_.end()) return;
    client& c = *it->second;
    if (c.exchange) return;  // that wants a reply()
    decisions_.erase(it);
    shielded(c, [&] {
        if (made.answer != verdict::allow) {
            refuse(c, made.refusal(), "authentication failed", made.reason);
            return;
        }
        if (user_name) c.request->set_user_name(std::move(*user_name));
        c.connection.restart_keep_alive(now);
        admit(c);
        go_on(c);
    });
}

void broker::publish(std::string_view topic, bytes_view payload, std::optional<qos> level,
                     bool retain, instant now) {
    begin(now);
    publication p(topic, payload, level, retain);
    distribute(p);
}

void broker::deliver(const route& to, publication& p, const share_name& share) {
    try {
        if (to.subscriber->local_id != 0) {
            if (to.subscriber->has_ended()) return;
            hooks_.local_message(to.subscriber->local_id, p.share(), false);
        } else if (!hooks_.wants(hook::check_receive) || pass_gate(to, p, share, false)) {
            deliver_now(to, p, share);
        }
    } catch (...) {  // the others still get it
        was_undelivered_ = true;
        ++stats_.publish_dropped;
        if (to.subscriber->connection) {
            fail(*to.subscriber->connection);
        } else {
            log_failure();
        }
    }
}

void broker::deliver_now(const route& to, publication& p, const share_name& share) {
    session& s = *to.subscriber;
    const bool is_for_one = p.is_for_one();
    switch (outbox_.deliver(to, p, share)) {
        case delivery_result::queued:
            if (is_for_one) throttle_.slow_down(p.publisher(), s);
            if (!s.connection && hooks_.wants(hook::retained_message)) {
                hooks_.message_queued(s, p.share());
            }
            break;
        case delivery_result::sent:
        case delivery_result::not_wanted:
        case delivery_result::dropped:
            break;
    }
}

void broker::store_retained(publication& p) {
    bool changed = true;
    // What the broker says of itself is said again soon.
    const bool keeps = journal_ && !p.topic().starts_with("$SYS/");
    const message_ptr before = keeps ? router_.retained().find(p.topic()) : nullptr;
    if (p.payload().empty()) {
        changed = router_.retained().remove(p.topic());
        if (keeps) journal_->retained_changed(before, nullptr);
    } else if (may_retain(p)) {
        router_.retained().store(p.share());
        if (keeps) journal_->retained_changed(before, p.share());
    } else {
        log_not_retained(p);
    }
    if (changed && hooks_.wants(hook::retained_message)) {
        hooks_.message_retained(p.publisher(), p.share());
    }
}

bool broker::may_retain(const publication& p) {
    if (p.payload().empty()) return true;  // which removes
    const broker_quotas& most = settings_.quotas;
    if (broker_quotas::exceeded(level_count(p.topic()), most.topic_levels)) return false;
    const auto has_room = [&] {
        const auto [size, bytes] = router_.retained().with(p.topic(), p.size());
        return !broker_quotas::exceeded(size, most.retained_messages) &&
               !broker_quotas::exceeded(bytes, most.retained_bytes);
    };
    // A large one may take the place of several, though not of so many that others would wait.
    std::size_t expired = 0;
    while (!has_room()) {
        const std::size_t more = expire_retained(expired_at_once);
        expired += more;
        if (more == 0 || expired > expired_in_a_turn) return false;
    }
    return true;
}

void broker::publish_will(session& publisher, const will_message& will) {
    if (will.topic.starts_with('$')) {  // not for clients to publish to
        drops_.count(drop_reason::server_topic, publisher);
        return;
    }
    publication p(will.topic, as_bytes(will.payload), will.level, will.retain);
    p.set_publisher(&publisher);
    p.set_forwarded(will.forwarded);
    if (will.expiry_interval) p.set_expiry(*will.expiry_interval, now_);
    std::uint64_t ticket = 0;
    const decision made = check(publisher, topic_action::publish, will.topic, ticket);
    if (made.answer == verdict::allow) {
        distribute(p);
    } else if (made.answer == verdict::deny) {
        log_refusal(publisher, topic_action::publish, will.topic);
    } else {
        // Its session may be over when the answer comes.
        question what{topic_action::publish, will.topic};
        what.will = p.share();
        what.will_expiry = will.expiry_interval;
        ask(ticket, std::move(what));
    }
}

void broker::refuse_busy(client& c) {
    constexpr std::string_view why = "too many clients wait for the decisions of plugins";
    log(log_kinds::refused_busy, c,
        std::string("refused: ")
            .append(why)
            .append(" (limits.max_pending_decisions, limits.max_pending_decision_bytes)"));
    c.connection.send_connack(false, reason_code::quota_exceeded, {}, told(why));
    end(c, reason_code::quota_exceeded, will_action::discard);
}

void broker::log_not_retained(const publication& p) {
    std::string_view publisher;  // none: the broker itself
    if (p.publisher()) publisher = p.publisher()->client_id();
    peer_log_.log(log_kinds::not_retained, publisher, now_, [&] {
        return "retained messages at their bound: did not keep that of topic '" +
               printable(p.topic()) +
               "' (limits.max_retained_messages, limits.max_retained_bytes, "
               "limits.max_topic_levels)";
    });
}

void broker::log(const log_kind& kind, const client& c, std::string_view text) {
    peer_log_.log(kind, c.request ? c.request->client_id : c.peer.address, now_, [&] {
        std::string line =
            c.request ? "client '" + printable(c.request->client_id) + "'" : "client";
        line += " at " + printable(c.peer.address) + ":" + std::to_string(c.peer.port) + " ";
        line += text;
        return line;
    });
}

}  // namespace amqtt
