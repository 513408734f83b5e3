// Retained messages for those who subscribe: a part at a time, as there may be millions.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "broker/broker.hpp"

namespace amqtt {
namespace {

// Topics that are looked at between two looks at whether the subscriber has room.
constexpr std::size_t topics_at_once = 128;

// Messages that may wait for the subscriber to be sent what is before them.
constexpr std::size_t waiting_at_most = 1024;

}  // namespace

// How many messages may be queued, or sent at once. The other half of the bounds is for live
// messages: retained ones are kept by their store, and can wait.
std::size_t broker::room_for_retained(session& s) {
    const auto gate = gates_.find(&s);
    const bool is_gated = gate != gates_.end();
    const std::size_t most = std::min(settings_.queue.messages / 2, waiting_at_most);
    const std::size_t count = s.queue().size() + (is_gated ? gate->second.waiting.size() : 0);
    const std::size_t bytes = s.queue().bytes() + (is_gated ? gate->second.bytes : 0);
    if (count < most && bytes < settings_.queue.bytes / 2) return most - count;
    return count == 0 && outbox_.can_send(s) ? 1 : 0;
}

bool broker::has_room_for_retained(session& s, const message& m) {
    const auto gate = gates_.find(&s);
    const bool is_gated = gate != gates_.end();
    if (!is_gated && s.queue().empty() && outbox_.can_send(s)) return true;
    const std::size_t bytes = s.queue().bytes() + (is_gated ? gate->second.bytes : 0);
    return room_for_retained(s) > 0 && bytes + m.size() <= settings_.queue.bytes / 2;
}

void broker::begin_retained(subscription& to, qos granted) {
    session& s = *to.subscriber;
    if (!to.waiting.is_linked()) s.wants_retained.push_back(to);
    if (&s.wants_retained.front() != &to) return;
    s.turn = turn_of(to, granted);  // of all of them, also when it was on (3.1.1: MQTT-3.8.4-3)
    deliver_retained(s);
}

std::unique_ptr<retained_turn> broker::turn_of(const subscription& to, qos granted) {
    return std::unique_ptr<retained_turn>(
        new retained_turn{{router_.retained(), to.filter}, granted, {}});
}

void broker::deliver_retained(session& to) {
    if (to.wants_retained.empty() || sessions_in_line_.contains(&to)) return;
    while (to.connection && !to.wants_retained.empty()) {
        const subscription& next = to.wants_retained.front();
        if (!to.turn) to.turn = turn_of(next, next.options.level);
        if (!deliver_found(to, next)) return;
        retained_turn& turn = *to.turn;
        if (turn.walk.is_over()) {
            to.turn.reset();
            to.wants_retained.pop_front();
            continue;
        }
        const std::size_t room = room_for_retained(to);
        if (room == 0) return;
        if (budget_.is_spent()) {
            go_on_later(to);
            return;
        }
        budget_.spend(turn.walk.look(std::min(topics_at_once, room), turn.found) * step_cost::node);
    }
}

bool broker::deliver_found(session& to, const subscription& wanting) {
    retained_turn& turn = *to.turn;
    route way = route_of(wanting);
    way.granted = turn.granted;
    for (; turn.sent < turn.found.size(); ++turn.sent) {
        message_ptr& m = turn.found[turn.sent];
        // Those that have waited may have been replaced or removed.
        if (turn.found_before && router_.retained().find(m->topic()) != m) continue;
        if (!has_room_for_retained(to, *m)) {
            turn.found_before = true;
            return false;
        }
        budget_.spend(step_cost::of_delivery(m->size()));
        deliver_retained(way, std::move(m));
    }
    turn.found.clear();
    turn.sent = 0;
    turn.found_before = false;
    return true;
}

void broker::deliver_retained(const route& to, message_ptr m) {
    if (m->is_expired(now_)) {
        forget_retained(m);
        return;
    }
    publication p(m, m->level(), std::nullopt);
    if (!hooks_.wants(hook::check_receive) || pass_gate(to, p, nullptr, true)) {
        outbox_.deliver_retained(to, std::move(m));
    }
}

std::size_t broker::expire_retained(std::size_t most) {
    std::size_t removed = 0;
    while (removed < most) {
        const message_ptr next = router_.retained().expired(now_);
        if (!next) break;
        forget_retained(next);
        ++removed;
    }
    return removed;
}

void broker::forget_retained(const message_ptr& m) {
    router_.retained().remove(m->topic());
    if (journal_) journal_->retained_changed(m, nullptr);
}

}  // namespace amqtt
