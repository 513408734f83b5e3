// Rights that may have been withdrawn: what a session was allowed before is checked again.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "broker/broker.hpp"
#include "broker/log_kinds.hpp"
#include "topic/filter.hpp"

namespace amqtt {

void broker::rights_changed(const std::optional<std::string>& client_id) {
    if (client_id) {
        session* const s = sessions_.find(*client_id);
        if (!s) return;
        s->rights = 0;
        check_queue(*s);
        return;
    }
    ++rights_;
    for (client& c : clients_) {
        if (c.state) check_queue(*c.state);
    }
}

// What waits now is checked before it is sent.
void broker::check_queue(session& s) {
    if (hooks_.wants(hook::check_receive)) s.unchecked = s.queue().size();
}

// The client of a session is back. It is disconnected when it cannot be found out what it may.
void broker::check_rights(session& s) {
    const auto before = checks_.find(&s);
    if (before != checks_.end()) {
        // Answers for the login before say nothing about this one, and would not be taken for it.
        if (!before->second.subscriptions.empty()) s.rights = 0;
        forget_checks(s);
    }
    check_queue(s);
    check_in_flight(s);
    if (std::exchange(s.rights, rights_) == rights_ || !hooks_.wants(hook::check_subscribe)) return;
    std::vector<std::string> refused;
    bool is_busy = false;
    for (const auto& each : s.subscriptions()) {
        const auto filter = parse_filter(each->name());
        std::uint64_t ticket = 0;
        const decision made = check(s, topic_action::subscribe, filter->filter, ticket);
        // That nobody could be asked is no reason to end the subscription for ever.
        is_busy = made.answer == verdict::deny && made.code == reason_code::quota_exceeded;
        if (is_busy) break;
        if (made.answer == verdict::deny) {
            refused.emplace_back(each->name());
        } else if (made.answer == verdict::pending) {
            question what{topic_action::subscribe, std::string(filter->filter), &s};
            what.subscription = each->name();
            ask(ticket, std::move(what));
            checks_[&s].subscriptions.push_back(ticket);
        }
    }
    for (const std::string& name : refused)
        revoke(s, name);
    if (checks_.contains(&s)) s.unchecked = s.queue().size();
    if (!is_busy) return;
    s.rights = 0;
    log(log_kinds::connection_closed, *s.connection,
        "closed: too many questions wait for plugins, so its subscriptions cannot be checked");
    disconnect(*s.connection, reason_code::quota_exceeded, "too many questions about topics wait");
}

// What was sent and not acknowledged is sent again, unless it is plain at once that it must not be.
void broker::check_in_flight(session& s) {
    if (!hooks_.wants(hook::check_receive)) return;
    std::vector<std::uint16_t> refused;
    s.inflight().for_each([&](inflight_entry& entry) {
        if (!entry.content || entry.state == inflight_state::awaiting_pubcomp) return;
        if (!hooks_.is_refused(s, entry.content->topic(), now_)) return;
        log_refusal(s, topic_action::receive, entry.content->topic());
        if (entry.state == inflight_state::awaiting_puback) {
            refused.push_back(entry.packet_id);
        } else {
            // The client may have stored the identifier, which PUBREL makes it forget.
            release_content(s, entry);
        }
    });
    for (const std::uint16_t packet_id : refused)
        outbox_.abandon(s, *s.inflight().find(packet_id));
}

bool broker::revoke(session& s, std::string_view filter_name) {
    const subscription* const existing = s.find_subscription(filter_name);
    if (!existing) return false;
    const std::string name(existing->name());
    const auto filter = parse_filter(name);
    if (journal_) journal_->unsubscribed(*existing);
    router_.unsubscribe(s, name);
    peer_log_.log(log_kinds::subscription_revoked, s.client_id(), now_, [&] {
        return "client '" + printable(s.client_id()) + "' lost its subscription to '" +
               printable(name) + "', which is not allowed any more";
    });
    if (hooks_.wants(hook::client_unsubscribed)) hooks_.client_unsubscribed(s, name);
    drop_waiting(s, *filter, name);
    return true;
}

// Messages that wait because of a subscription that is gone, and of no other.
void broker::drop_waiting(session& s, const parsed_filter& filter, std::string_view name) {
    const auto is_due_to_it = [&](const queued_message& m) {
        if (m.share || !filter.share.empty()) return m.share && *m.share == name;
        if (!matches(filter.filter, m.content->topic())) return false;
        const auto& others = s.subscriptions();
        return std::none_of(others.begin(), others.end(), [&](const auto& other) {
            return !other->name().starts_with("$share/") &&
                   matches(other->name(), m.content->topic());
        });
    };
    std::vector<queued_message> shared;
    s.queue().remove_if(is_due_to_it, [&](queued_message& m) {
        outbox_.dropped(m);
        if (m.share) shared.push_back(std::move(m));
    });
    s.unchecked = std::min(s.unchecked, s.queue().size());
    for (queued_message& m : shared) {
        shared_group* const group = router_.find_group(name);
        if (!group) return;
        std::size_t looked_at = 0;
        const subscription* const member =
            group->choose(settings_.shared, m.level, nullptr, &s, looked_at);
        budget_.spend(looked_at);
        if (member) outbox_.redeliver(*member, std::move(m));
    }
}

// -- the queue

verdict broker::check_waiting(session& to, const message_ptr& first) {
    const auto found = checks_.find(&to);
    if (found != checks_.end()) {
        rights_check& asked = found->second;
        if (!asked.subscriptions.empty()) return verdict::pending;
        if (asked.first == first && asked.ticket != 0) return verdict::pending;
        const bool is_answered = asked.first == first && asked.made;
        const verdict made = asked.made.value_or(verdict::deny);
        questions_.erase(asked.ticket);  // about a message that has gone another way
        checks_.erase(found);
        if (is_answered) return made;
    }
    if (!hooks_.wants(hook::check_receive)) return verdict::allow;
    std::uint64_t ticket = 0;
    const decision made = check(to, topic_action::receive, first->topic(), ticket);
    if (made.answer == verdict::deny) {
        log_refusal(to, topic_action::receive, first->topic());
    } else if (made.answer == verdict::pending) {
        ask(ticket, {topic_action::receive, std::string(first->topic()), &to});
        checks_[&to] = {{}, ticket, first, std::nullopt};
    }
    return made.answer;
}

bool broker::answer_check(std::uint64_t ticket, const question& asked, const decision& made) {
    const auto found = checks_.find(asked.subject);
    if (found == checks_.end()) return false;
    rights_check& check = found->second;
    session& s = *asked.subject;
    const bool is_allowed = made.answer == verdict::allow;
    if (check.ticket == ticket) {
        check.ticket = 0;
        check.made = is_allowed ? verdict::allow : verdict::deny;
        if (!is_allowed) log_refusal(s, asked.action, asked.topic);
    } else if (std::erase(check.subscriptions, ticket) == 1) {
        if (check.is_over()) checks_.erase(found);
        if (!is_allowed) revoke(s, asked.subscription);
    } else {
        return false;
    }
    if (s.connection) pump(s);
    return true;
}

void broker::forget_checks(const session& s) {
    const auto found = checks_.find(&s);
    if (found == checks_.end()) return;
    forget_questions(found->second.subscriptions);
    questions_.erase(found->second.ticket);
    checks_.erase(found);
}

}  // namespace amqtt
