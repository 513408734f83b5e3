// What Python wants of a broker's engine.
#include <limits>
#include <utility>
#include <variant>

#include "engine/broker_engine_parts.hpp"

namespace amqtt {
namespace {

verdict verdict_of(bool allowed) noexcept {
    return allowed ? verdict::allow : verdict::deny;
}

}  // namespace

void broker_engine::parts::run_commands() {
    taken.clear();
    commands.take(taken, std::numeric_limits<std::size_t>::max(), [] {});
    for (broker_command& command : taken) {
        loop.attempt([&] { std::visit([this](auto& what) { run(what); }, command); });
    }
}

void broker_engine::parts::run(publish_command& what) {
    core.publish(what.content->topic(), what.content->payload(), what.level, what.content->retain(),
                 loop.now());
}

void broker_engine::parts::run(authenticated_command& what) {
    policy.client_answered(what.ticket);
    core.decide(what.ticket, {verdict_of(what.allowed), what.code, std::move(what.reason)},
                loop.now(), std::move(what.user_name));
}

void broker_engine::parts::run(authentication_reply_command& what) {
    using kind = authentication_reply_command::kind;
    const auto outcome = what.outcome == kind::accepted    ? authentication_outcome::accepted
                         : what.outcome == kind::challenge ? authentication_outcome::challenge
                                                           : authentication_outcome::refused;
    policy.client_answered(what.ticket);
    core.reply(what.ticket,
               {outcome, std::move(what.data), what.code, std::move(what.reason),
                std::move(what.user_name)},
               loop.now());
}

void broker_engine::parts::run(topic_decided_command& what) {
    policy.topic_answered(what.ticket);
    core.decide_topic(what.ticket,
                      {verdict_of(what.allowed), what.code, std::move(what.reason), what.holds},
                      loop.now());
}

void broker_engine::parts::run(const topics_allowed_command& what) {
    decision made;
    made.answer = verdict::allow;
    made.holds = what.holds;
    for (const std::uint64_t ticket : what.tickets) {
        policy.topic_answered(ticket);
        core.decide_topic(ticket, made, loop.now());
    }
}

// The connection may be gone by now.
void broker_engine::parts::run(key_command& what) {
    keys.answered(what.ticket);
    const auto question = key_questions.find(what.ticket);
    if (question == key_questions.end()) return;
    client_endpoint& asking = *question->second;
    key_questions.erase(question);
    asking.key_question = 0;
    asking.give_key(as_bytes(what.key));
}

void broker_engine::parts::run(hooks_command& what) {
    policy.set_events(what.python, what.logged);
    core.hooks_changed();
}

void broker_engine::parts::run(forget_verdicts_command& what) {
    // A topic may be of any session.
    core.rights_changed(what.client_id);
    verdict_cache& verdicts = policy.verdicts();
    if (what.client_id && what.topic) {
        verdicts.forget(*what.client_id, *what.topic);
    } else if (what.client_id) {
        verdicts.forget(*what.client_id);
    } else if (what.topic) {
        verdicts.forget_topic(*what.topic);
    } else {
        verdicts.clear();
    }
}

}  // namespace amqtt
