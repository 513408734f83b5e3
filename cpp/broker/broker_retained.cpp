// Retained messages for those who subscribe: a part at a time, as there may be millions.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "broker/broker.hpp"

namespace amqtt {
namespace {

// Topics that are looked at before others get their turn, some 2 ms, and those between two looks
// at whether the subscriber has room.
constexpr std::size_t topics_in_a_turn = 8192;
constexpr std::size_t topics_at_once = 128;

// Messages that may wait for the subscriber to be sent what is before them.
constexpr std::size_t waiting_at_most = 1024;

}  // namespace

bool broker::has_room_for_retained(session& s) {
    const auto gate = gates_.find(&s);
    const std::size_t gated = gate == gates_.end() ? 0 : gate->second.waiting.size();
    return s.queue().size() + gated < std::min(settings_.queue.messages, waiting_at_most);
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
        new retained_turn{{router_.retained(), to.filter}, granted});
}

void broker::deliver_retained(session& to) {
    std::vector<message_ptr> found;
    std::size_t looked_at = 0;
    while (to.connection && !to.wants_retained.empty() && has_room_for_retained(to)) {
        if (looked_at >= topics_in_a_turn) {
            go_on_later(to);
            return;
        }
        const subscription& next = to.wants_retained.front();
        if (!to.turn) to.turn = turn_of(next, next.options.level);
        found.clear();
        to.turn->walk.look(topics_at_once, found);
        looked_at += topics_at_once;
        route way = route_of(next);
        way.granted = to.turn->granted;
        if (to.turn->walk.is_over()) {
            to.turn.reset();
            to.wants_retained.pop_front();
        }
        for (message_ptr& m : found)
            deliver_retained(way, std::move(m));
    }
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

void broker::go_on_later(session& with) {
    unfinished_.insert(&with);
    if (!std::exchange(work_is_left_, true)) hooks_.work_left();
}

void broker::work(instant now) {
    now_ = now;
    work_is_left_ = false;
    const std::vector<session*> unfinished(unfinished_.begin(), unfinished_.end());
    for (session* each : unfinished) {
        // It may have ended meanwhile.
        if (unfinished_.erase(each) != 0) deliver_retained(*each);
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
