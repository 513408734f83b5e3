// Decisions on topics: what policy cannot say at once stalls the one client it is about.
#include <algorithm>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "broker/broker.hpp"
#include "broker/log_kinds.hpp"

namespace amqtt {
namespace {

const char* name_of(topic_action action) noexcept {
    return action == topic_action::subscribe ? "subscribe to"
           : action == topic_action::publish ? "publish to"
                                             : "receive messages from";
}

}  // namespace

decision broker::check(const session& who, topic_action action, std::string_view topic,
                       std::uint64_t& ticket) {
    if (!hooks_.wants(check_of(action))) return {verdict::allow};
    ticket = ++last_ticket_;
    return hooks_.check_topic(who, action, topic, ticket, now_);
}

void broker::ask(std::uint64_t ticket, question what) {
    if (what.subject) what.login = what.subject->login;
    // First: a deadline without a question is passed over.
    deadlines_.emplace_back(ticket, now_ + settings_.decision_timeout);
    questions_.emplace(ticket, std::move(what));
}

void broker::forget_questions(std::span<const std::uint64_t> tickets) {
    for (const std::uint64_t ticket : tickets)
        questions_.erase(ticket);
}

void broker::expire_questions() {
    while (!deadlines_.empty()) {
        const auto [ticket, due] = deadlines_.front();
        const auto it = questions_.find(ticket);
        if (it != questions_.end()) {
            if (due > now_) return;
            log_late_decision(it->second);
            decide_topic(ticket, {}, now_);
        } else {
            deadlines_.pop_front();
        }
    }
}

void broker::decide_topic(std::uint64_t ticket, const decision& made, instant now) {
    begin(now);
    const auto it = questions_.find(ticket);
    if (it == questions_.end()) return;
    question asked = std::move(it->second);
    questions_.erase(it);
    while (!deadlines_.empty() && !questions_.contains(deadlines_.front().first))
        deadlines_.pop_front();
    if (asked.subject && asked.subject->login != asked.login) {
        // Packets end with their connection, and checks of rights begin anew with each login, so
        // this is about a message to be received.
        ask_again(ticket, asked);
        return;
    }
    client* const about = asked.asker                ? asked.asker
                          : asked.subject != nullptr ? asked.subject->connection
                                                     : nullptr;
    const auto act = [&] {
        if (asked.subject) {
            hooks_.topic_decided(*asked.subject, asked.action, asked.topic, made, now_);
        }
        answer(ticket, std::move(asked), made);
    };
    if (about) {
        shielded(*about, act);
    } else {
        attempt(act);
    }
}

void broker::answer(std::uint64_t ticket, question asked, const decision& made) {
    if (asked.subject && !asked.asker && answer_check(ticket, asked, made)) return;
    if (asked.action == topic_action::receive) {
        answer_receive(ticket, *asked.subject, made);
    } else if (asked.action == topic_action::subscribe) {
        answer_subscribe(*asked.asker, asked.index, made);
    } else if (asked.asker) {
        answer_publish(*asked.asker, made);
    } else if (made.answer == verdict::allow) {
        const qos level = asked.will->level();
        publication p(std::move(asked.will), level, asked.will_expiry);
        distribute(p);
    }
}

void broker::ask_again(std::uint64_t ticket, const question& what) {
    session& to = *what.subject;
    gated_message* const waiting = find_gated(ticket, to);
    if (!waiting) return;
    std::uint64_t next = 0;
    const decision made = check(to, what.action, what.topic, next);
    if (made.answer == verdict::pending) {
        waiting->ticket = next;
        ask(next, {what.action, what.topic, &to});
    } else {
        answer_receive(ticket, to, made);
    }
}

void broker::answer_publish(client& c, const decision& made) {
    const auto held = std::exchange(c.held, nullptr);
    auto& waiting = std::get<held_publish>(held->what);
    c.connection.restart_keep_alive(now_);
    const qos level = waiting.content->level();
    publication p(std::move(waiting.content), level, waiting.expiry_interval);
    p.set_publisher(c.state);
    if (made.answer == verdict::allow) {
        publish_allowed(c, p, waiting.packet_id);
    } else {
        publish_refused(c, p, waiting.packet_id, made);
    }
    go_on(c);
}

void broker::answer_subscribe(client& c, std::size_t index, const decision& made) {
    auto& rest = std::get<unfinished_subscribe>(c.unfinished->what);
    subscribe_progress& progress = rest.progress;
    if (made.answer != verdict::allow) {
        log_refusal(*c.state, topic_action::subscribe, rest.packet.requests[index].filter);
        progress.codes[index] = made.refusal();
        if (!made.reason.empty()) progress.reason = made.reason;
    }
    if (--progress.open > 0 || !progress.is_checked) return;
    c.held.reset();
    c.connection.restart_keep_alive(now_);
    if (go_on_with_unfinished(c)) go_on(c);
}

// -- messages on their way to a subscriber

bool broker::pass_gate(const route& to, publication& p, const share_name& share, bool retained) {
    session& s = *to.subscriber;
    std::uint64_t ticket = 0;
    const decision made = check(s, topic_action::receive, p.topic(), ticket);
    if (made.answer == verdict::deny) {
        log_refusal(s, topic_action::receive, p.topic());
        return false;
    }
    const auto gate = gates_.find(&s);
    if (made.answer == verdict::allow && gate == gates_.end()) return true;
    authorization_queue& behind = gate == gates_.end() ? gates_[&s] : gate->second;
    // Retained messages are bounded by their store.
    if (!retained && !gate_has_room(behind, p.size())) {
        drops_.count(drop_reason::queue_full, s);
        go_on_behind_gate(s);
        return false;
    }
    if (made.answer == verdict::allow) ticket = 0;
    const message_ptr& content = p.share();
    behind.bytes += authorization_queue::cost_of(content->size());
    backlog_.add(*content);
    backlog_.resize(0, sizeof(gated_message));
    if (content->expires_at()) {
        behind.next_expiry = std::min(behind.next_expiry, *content->expires_at());
    }
    behind.waiting.push_back(
        {ticket, to, share, p.share(), p.level(), p.expiry_interval(), retained, 0});
    if (journal_) {
        // Its publisher may be told that it has arrived.
        delivery_row row;
        row.level = p.level_for(to.granted);
        row.retain = retained || (to.retain_as_published && p.retain());
        row.identifiers = to.ids;
        row.share = share;
        row.state = delivery_state::undecided;
        behind.waiting.back().record = journal_->delivery_added(s, p.share(), row);
    }
    if (ticket != 0) {
        try {
            ask(ticket, {topic_action::receive, std::string(p.topic()), &s});
        } catch (...) {  // nobody would answer, and all behind it would wait
            leave_gate(behind, behind.waiting.back());
            behind.waiting.pop_back();
            if (behind.waiting.empty()) gates_.erase(&s);
            throw;
        }
    }
    go_on_behind_gate(s);
    return false;
}

gated_message* broker::find_gated(std::uint64_t ticket, session& to) {
    const auto gate = gates_.find(&to);
    if (gate == gates_.end()) return nullptr;
    for (gated_message& each : gate->second.waiting) {
        if (each.ticket == ticket) return &each;
    }
    return nullptr;
}

// What the first one waited for has expired with it.
void broker::go_on_behind_gate(session& to) {
    const auto gate = gates_.find(&to);
    if (gate->second.waiting.empty()) {
        gates_.erase(gate);
    } else if (gate->second.waiting.front().ticket == 0) {
        drain_gate(to);
    }
}

bool broker::gate_has_room(authorization_queue& gate, std::size_t size) {
    const queue_limits& limits = settings_.queue;
    const std::size_t cost = authorization_queue::cost_of(size);
    const auto has_room = [&] {
        return gate.waiting.size() < limits.messages && gate.bytes + cost <= limits.bytes &&
               backlog_.has_room(gate.bytes, cost);
    };
    if (has_room()) return true;
    if (gate.next_expiry > now_) return false;
    gate.next_expiry = instant::max();
    std::erase_if(gate.waiting, [&](const gated_message& m) {
        const auto& expires_at = m.content->expires_at();
        if (m.content->is_expired(now_)) {
            questions_.erase(m.ticket);
            leave_gate(gate, m);
            if (journal_) journal_->delivery_removed(m.record, m.content.get());
            return true;
        }
        if (expires_at) gate.next_expiry = std::min(gate.next_expiry, *expires_at);
        return false;
    });
    return has_room();
}

void broker::leave_gate(authorization_queue& gate, const gated_message& m) {
    gate.bytes -= authorization_queue::cost_of(m.content->size());
    backlog_.remove(*m.content);
    backlog_.resize(sizeof(gated_message), 0);
}

void broker::answer_receive(std::uint64_t ticket, session& to, const decision& made) {
    const auto gate = gates_.find(&to);
    if (gate == gates_.end()) return;
    auto& waiting = gate->second.waiting;
    for (auto it = waiting.begin(); it != waiting.end(); ++it) {
        if (it->ticket != ticket) continue;
        it->ticket = 0;
        if (made.answer != verdict::allow) {
            log_refusal(to, topic_action::receive, it->content->topic());
            leave_gate(gate->second, *it);
            if (journal_) journal_->delivery_removed(it->record, it->content.get());
            waiting.erase(it);
        }
        break;
    }
    drain_gate(to);
}

void broker::drain_gate(session& to) {
    const auto gate = gates_.find(&to);
    auto& waiting = gate->second.waiting;
    while (!waiting.empty() && waiting.front().ticket == 0) {
        gated_message next = std::move(waiting.front());
        waiting.pop_front();
        leave_gate(gate->second, next);
        // What is delivered has a place of its own there.
        const message_ptr content = next.content;
        const std::uint64_t record = next.record;
        if (next.content->is_expired(now_)) {
            if (journal_) journal_->delivery_removed(record, content.get());
            continue;
        }
        if (next.retained) {
            outbox_.deliver_retained(next.to, std::move(next.content));
        } else {
            publication p(std::move(next.content), next.level, next.expiry_interval);
            deliver_now(next.to, p, next.share);
        }
        if (journal_) journal_->delivery_removed(record, content.get());
    }
    if (waiting.empty()) gates_.erase(gate);
    deliver_retained(to);
}

void broker::forget_gate(session& s) {
    const auto gate = gates_.find(&s);
    if (gate == gates_.end()) return;
    authorization_queue forgotten = std::move(gate->second);
    gates_.erase(gate);
    for (const gated_message& m : forgotten.waiting) {
        questions_.erase(m.ticket);
        leave_gate(forgotten, m);
    }
    if (!journal_) return;
    for (const gated_message& m : forgotten.waiting)
        journal_->delivery_removed(m.record, m.content.get());
}

void broker::log_refusal(const session& s, topic_action action, std::string_view topic) {
    peer_log_.log(log_kinds::refused(action), s.client_id(), now_, [&] {
        return printable(s.client_id()) + " not allowed to " + name_of(action) + " TOPIC " +
               printable(topic) + ".";
    });
}

void broker::log_late_decision(const question& asked) {
    std::string_view client_id;  // none: its session is gone
    if (asked.subject) client_id = asked.subject->client_id();
    peer_log_.log(log_kinds::decision_late, client_id, now_, [&] {
        return std::string("no decision in time on whether a client may ") + name_of(asked.action) +
               " TOPIC " + printable(asked.topic) + ": refused";
    });
}

}  // namespace amqtt
