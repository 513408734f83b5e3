// Turns: how long the broker works for one client while others wait.
//
// What a client sends is looked at as far as one turn goes, which is counted in steps of work. A
// client that has more to do stands in line and is not read from meanwhile. It has its next turn
// when what came from others was received and those before it in line had theirs.
#include <iterator>
#include <memory>
#include <utility>
#include <variant>

#include "broker/broker.hpp"

namespace amqtt {
namespace {

constexpr std::size_t removed_at_once = 32;

}  // namespace

void broker::stand_in_line(place_in_line& p) {
    if (p.is_linked()) return;
    line_.push_back(p);
    if (p.what == place_in_line::kind::client) ++clients_in_line_;
    ask_for_work();
}

// Once for each work(): were it asked for twice, each would ask for the next one, and those who are
// received between them would wait for both.
void broker::ask_for_work() {
    if (work_is_asked_for_) return;
    hooks_.work_left();
    work_is_asked_for_ = true;
}

void broker::leave_line(client& c) noexcept {
    if (!c.in_line.is_linked()) return;
    c.in_line.leave();
    --clients_in_line_;
}

void broker::work(instant now) {
    now_ = now;
    work_is_asked_for_ = false;
    take_turns();
    if (!line_.empty()) ask_for_work();
}

void broker::take_turns() {
    std::int64_t left = work_budget::turn;
    const instant until = hooks_.time() + work_budget::turn_time;
    while (left > 0 && !line_.empty() && hooks_.time() < until) {
        place_in_line& next = line_.front();
        line_.pop_front();
        if (next.what == place_in_line::kind::client) --clients_in_line_;
        budget_.begin_turn();
        budget_.spend(step_cost::turn);
        take_turn(next);
        left -= budget_.spent();
    }
}

void broker::take_turn(place_in_line& p) {
    switch (p.what) {
        case place_in_line::kind::client: {
            client& c = *static_cast<client*>(p.owner);
            shielded(c, [&] {
                if (c.unfinished && !go_on_with_unfinished(c)) return;
                if (process_and_check(c)) read_on(c);
            });
            break;
        }
        case place_in_line::kind::session: {
            session& s = *static_cast<session*>(p.owner);
            sessions_in_line_.erase(&s);  // and p
            if (s.connection) shielded(*s.connection, [&] { pump(s); });
            break;
        }
        case place_in_line::kind::publications:
            go_on_publishing();
            break;
        case place_in_line::kind::ended: {
            auto& ended = *static_cast<ended_session*>(p.owner);
            // Else again in its next turn; what it has is of no use to anybody any more.
            if (!attempt([&] { go_on_removing(ended); })) stand_in_line(ended.in_line);
            break;
        }
        case place_in_line::kind::timers:
            fire_timers();
            break;
    }
}

// False: the rest has to wait, for a turn or for decisions.
bool broker::go_on_with_unfinished(client& c) {
    auto& what = c.unfinished->what;
    const auto leave_the_rest = [&] {
        stand_in_line(c.in_line);
        return false;
    };
    if (auto* publish = std::get_if<std::unique_ptr<unfinished_publish>>(&what)) {
        if (!go_on(**publish)) return leave_the_rest();
        const auto done = std::move(*publish);
        c.unfinished.reset();
        const bool wanted = !done->search->found().empty();
        acknowledge(c, *done->content.level(), done->packet_id,
                    wanted ? reason_code::success : reason_code::no_matching_subscribers, {},
                    done->until);
    } else if (auto* subscribe = std::get_if<unfinished_subscribe>(&what)) {
        if (!go_on(c, subscribe->packet, subscribe->progress)) {
            return subscribe->progress.waits_for_decisions() ? false : leave_the_rest();
        }
        c.unfinished.reset();
    } else {
        auto& unsubscribe = std::get<unfinished_unsubscribe>(what);
        if (!go_on(c, unsubscribe.packet, unsubscribe.progress)) return leave_the_rest();
        c.unfinished.reset();
    }
    return true;
}

void broker::finish_later(client& c, unfinished_packet rest) {
    c.unfinished = std::make_unique<unfinished_packet>(std::move(rest));
    const auto* const subscribe = std::get_if<unfinished_subscribe>(&c.unfinished->what);
    if (!subscribe || !subscribe->progress.waits_for_decisions()) stand_in_line(c.in_line);
}

// Its connection ends. A message that some have got is for the others as well.
void broker::leave_unfinished(client& c) {
    const auto rest = std::exchange(c.unfinished, nullptr);
    if (!rest) return;
    if (auto* publish = std::get_if<std::unique_ptr<unfinished_publish>>(&rest->what)) {
        publish_later(std::move(*publish));
    }
}

void broker::fire_timers() {
    if (!timers_.fire_due(now_, [this] { return !budget_.is_spent(); })) {
        stand_in_line(timers_in_line_);
    }
}

// A session that has ended, and of which there is too much to remove it at once.
void broker::remove_later(std::unique_ptr<session> ended) {
    ended_.emplace_back(std::move(ended));
    ended_.back().self = std::prev(ended_.end());
    stand_in_line(ended_.back().in_line);
}

void broker::go_on_removing(ended_session& e) {
    session& s = *e.what;
    while (!budget_.is_spent()) {
        if (!s.queue().empty() || !s.inflight().empty()) {
            hand_over_shared(s);
        } else if (!s.subscriptions().empty()) {
            budget_.spend(removed_at_once * step_cost::filter);
            router_.unsubscribe_some(s, removed_at_once);
        } else {
            router_.unsubscribe_all(s);
            ended_.erase(e.self);
            return;
        }
    }
    stand_in_line(e.in_line);
}

bool broker::process_and_check(client& c) {
    const std::uint64_t before = position();
    const bool goes_on = process(c);
    throttle_.relieve(c);
    if (!goes_on || c.slowed_by) return false;
    const bool lacks_room = journal_ && position() != before && journal_->is_full();
    waits_for_room_ |= lacks_room;
    c.throttled = lacks_room || hooks_.is_congested();
    return !c.throttled;
}

void broker::read_on(client& c) {
    c.network->resume_reading();
    // A successor may have come while there was input left; now the socket may have more of it.
    if (!successors_.empty() && successors_.contains(&c) && !c.network->catch_up()) {
        accept_successors(c);
    }
}

void broker::go_on(client& c) {
    // What came in meanwhile waits in the connection.
    if (process(c)) read_on(c);
}

// For several at a time, of whom none is to wait until all others had a turn.
void broker::go_on_in_line(client& c) {
    if (c.phase == client_phase::closing) return;
    if (c.connection.buffered_input() == 0) {
        go_on(c);
    } else {
        stand_in_line(c.in_line);
    }
}

void broker::send_more(session& s) {
    if (!outbox_.pump(s)) {
        go_on_later(s);
        return;
    }
    // Groups that have passed it over may choose it again.
    while (!s.set_aside.empty() && s.is_ready()) {
        subscription& member = s.set_aside.front();
        s.set_aside.pop_front();
        if (shared_group* const group = router_.find_group(member.name())) group->take_back(member);
        budget_.spend(step_cost::delivery);
        if (!budget_.is_spent()) continue;
        go_on_later(s);
        return;
    }
    deliver_retained(s);
}

void broker::go_on_later(session& with) {
    auto& place = sessions_in_line_[&with];
    if (!place) place = std::make_unique<place_in_line>(place_in_line::kind::session, &with);
    stand_in_line(*place);
}

}  // namespace amqtt
