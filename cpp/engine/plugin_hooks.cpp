#include "engine/plugin_hooks.hpp"

#include <algorithm>
#include <utility>

namespace amqtt {
namespace {

constexpr std::string_view broker_logger = "amqtt.broker";
constexpr std::string_view event_logger = "amqtt.broker.plugins.EventLoggerPlugin";
// These come without the name of a client.
constexpr log_kind connections{log_level::info, "connections", 1000, 1000};
constexpr log_kind disconnections{log_level::info, "disconnections", 1000, 1000};

std::string event_line(std::string_view name) {
    return "### 'on_" + std::string(name) + "' EVENT FIRED ###";
}

void add_connection(session_facts& facts, const client& c) {
    const connect_request& request = *c.request;
    facts.user_name = request.user_name();
    facts.version = request.version;
    facts.password = request.password();
    facts.address = c.peer.address;
    facts.port = c.peer.port;
    facts.listener = c.peer.listener;
    facts.external = c.peer.external;
    facts.clean_start = request.clean_start;
    facts.keep_alive = request.keep_alive;
    facts.properties = request.encoded_properties();
    if (c.peer.tls) {
        facts.is_encrypted = true;
        facts.certificate = c.peer.tls->certificate;
        facts.psk_identity = c.peer.tls->psk_identity;
        facts.tls_version = c.peer.tls->version;
        facts.tls_cipher = c.peer.tls->cipher;
    }
    if (request.will) {
        const will_message& will = *request.will;
        facts.will = will_facts{will.topic, will.payload, will.level, will.retain};
    }
}

std::unique_ptr<session_facts> facts_of(const client& c) {
    auto facts = std::make_unique<session_facts>();
    facts->client_id = c.request->client_id;
    facts->connected = c.phase == client_phase::connected;
    facts->login = c.state ? c.state->login : 0;
    add_connection(*facts, c);
    return facts;
}

// What a session object takes in Python, and a task that decides on it.
constexpr std::size_t python_cost = 4096;
// A question about a topic there, without its texts; a task has the session object of others.
constexpr std::size_t topic_cost = 1024;
constexpr std::size_t most_topic_questions = 100'000;

// What a question about a client takes: in its request, in what is asked, and in what is told when
// it is admitted.
std::size_t cost_of(const client& who) noexcept {
    const connect_request& request = *who.request;
    std::size_t size = request.client_id.size() + request.encoded_properties().size();
    if (request.user_name()) size += request.user_name()->size();
    if (request.password()) size += request.password()->size();
    if (request.will) size += request.will->topic.size() + request.will->payload.size();
    return python_cost + 3 * size;
}

}  // namespace

session_facts facts_of(session& s) {
    session_facts facts;
    facts.client_id = s.client_id();
    facts.connected = s.connection != nullptr;
    facts.user_name = s.user_name;
    facts.login = s.login;
    if (s.connection) add_connection(facts, *s.connection);
    facts.inflight_out = s.inflight().size();
    facts.inflight_in = s.received_qos2().size();
    facts.queued = s.queue().size();
    return facts;
}

plugin_hooks::plugin_hooks(policy_settings settings, python_decisions python,
                           mailbox<broker_event>& events, std::function<void()> then,
                           std::function<instant()> now)
    : policy_(std::move(settings)),
      python_decides_(std::move(python)),
      events_(events),
      work_left_(std::move(then)),
      now_(std::move(now)),
      event_log_([this](log_level level, std::string text) {
          push_record({level, std::string(event_logger), std::move(text)});
      }),
      client_questions_(python_decides_.pending),
      topic_questions_({most_topic_questions, python_decides_.pending.bytes}) {
    set_events(0, 0);
}

void plugin_hooks::set_events(std::uint32_t python, std::uint32_t logged) noexcept {
    python_ = python;
    logged_ = logged;
    mask_ = python | logged;
    if (policy_.checks_topics() || python_decides_.topics) {
        mask_ |= to_bit(hook::check_subscribe) | to_bit(hook::check_publish) |
                 to_bit(hook::check_receive);
    }
    // What is remembered of a client ends with its session.
    if (python_decides_.topics) {
        mask_ |= to_bit(hook::client_connected) | to_bit(hook::session_ended);
    }
}

// -- decisions

bool plugin_hooks::has_room_for(const client& who) {
    if (python_ == 0 && !asks_about_clients()) return true;
    if (events_.is_full()) return false;
    return !asks_about_clients() || client_questions_.has_room(cost_of(who));
}

verdict plugin_hooks::authenticate(const client& who, std::uint64_t ticket) {
    const opinion native = policy_.authenticate(*who.request);
    if (native == opinion::deny) return verdict::deny;
    if (!python_decides_.authenticate) {
        return native == opinion::allow ? verdict::allow : verdict::deny;
    }
    auto question = std::make_shared<offer<session_facts>>(facts_of(who));
    client_questions_.add(ticket, cost_of(who), [question] { return question->take() != nullptr; });
    events_.push_unbounded(authenticate_event{ticket, std::move(question)});
    return verdict::pending;
}

authentication_reply plugin_hooks::authenticate(const client& who, const authentication_step& step,
                                                std::uint64_t ticket) {
    const auto& methods = python_decides_.authentication_methods;
    if (std::find(methods.begin(), methods.end(), step.method) == methods.end()) return {};
    const bool is_new = step.is_first && !step.is_repeated;
    const std::size_t cost =
        (is_new ? cost_of(who) : python_cost) + 2 * (step.method.size() + step.data.size());
    if (!client_questions_.has_room(cost)) return {{}, {}, reason_code::quota_exceeded, {}, {}};
    auto question = make_offer(step_content{
        is_new ? facts_of(who) : nullptr, who.request->client_id, std::string(step.method),
        std::string(as_text(step.data)), step.is_first, step.is_repeated});
    client_questions_.add(
        ticket, cost, [question] { return question->take() != nullptr; }, step.is_first);
    events_.push_unbounded(authentication_step_event{ticket, std::move(question)});
    authentication_reply later;
    later.outcome = authentication_outcome::pending;
    return later;
}

void plugin_hooks::authentication_ended(std::uint64_t ticket) {
    if (python_decides_.authentication_methods.empty()) return;
    if (client_questions_.withdraw(ticket)) {
        unseen_ = ticket;
    } else {
        events_.push_unbounded(authentication_ended_event{ticket});
    }
}

decision plugin_hooks::check_topic(const session& who, topic_action action, std::string_view topic,
                                   std::uint64_t ticket, instant now) {
    if (policy_.check_topic(who, action, topic) == opinion::deny) return {};
    if (!python_decides_.topics) return {verdict::allow};
    if (const decision* known = verdicts_.find(who.client_id(), action, topic, now)) return *known;
    const std::size_t cost = topic_cost + 3 * topic.size();
    if (!topic_questions_.has_room(cost)) {
        return {verdict::deny, reason_code::quota_exceeded,
                "too many questions about topics wait for plugins"};
    }
    topic_questions_.add(ticket, cost);
    events_.push_unbounded(topic_event{ticket, who.client_id(), static_cast<std::uint8_t>(action),
                                       std::string(topic), who.login, who.user_name});
    return {verdict::pending};
}

bool plugin_hooks::is_refused(const session& who, std::string_view topic, instant now) {
    constexpr auto receive = topic_action::receive;
    if (policy_.check_topic(who, receive, topic) == opinion::deny) return true;
    const decision* known = verdicts_.find(who.client_id(), receive, topic, now);
    return known && known->answer == verdict::deny;
}

void plugin_hooks::topic_decided(const session& who, topic_action action, std::string_view topic,
                                 const decision& made, instant now) {
    verdicts_.store(who.client_id(), action, topic, made, now);
}

// -- events

bool plugin_hooks::announce(hook event, std::string_view name) {
    if ((logged_ & to_bit(event)) != 0) {
        push_record({log_level::debug, std::string(event_logger), event_line(name)});
    }
    return (python_ & to_bit(event)) != 0;
}

bool plugin_hooks::announce(hook event, const log_kind& kind, std::string_view name) {
    if ((logged_ & to_bit(event)) != 0) {
        event_log_.log(kind, {}, now_(), [&] { return event_line(name); });
    }
    return (python_ & to_bit(event)) != 0;
}

void plugin_hooks::client_connected(const client& who, bool session_present) {
    verdicts_.forget(who.request->client_id);  // it may be another user now
    if (announce(hook::client_connected, connections, "broker_client_connected")) {
        auto facts = facts_of(who);
        const std::size_t size = size_of(*facts);
        events_.push_unbounded(connected_event{who.ticket, session_present, std::move(facts)},
                               size);
    }
}

void plugin_hooks::client_disconnected(const client& who, reason_code reason) {
    if (announce(hook::client_disconnected, disconnections, "broker_client_disconnected")) {
        events_.push_unbounded(disconnected_event{who.request->client_id, reason});
    }
}

void plugin_hooks::client_refused(const client& who) {
    if (!asks_about_clients() || who.ticket == unseen_) return;
    if (client_questions_.withdraw(who.ticket)) return;
    events_.push_unbounded(refused_event{who.ticket});
}

void plugin_hooks::session_ended(const session& s) {
    verdicts_.forget(s.client_id());
    if ((python_ & to_bit(hook::session_ended)) != 0) {
        events_.push_unbounded(session_ended_event{s.client_id()});
    }
}

void plugin_hooks::user_changed(const session& s) {
    verdicts_.forget(s.client_id());
}

void plugin_hooks::client_subscribed(const session& s, std::string_view filter, qos granted) {
    if (announce(hook::client_subscribed, "broker_client_subscribed")) {
        events_.push_unbounded(subscription_event{s.client_id(), std::string(filter), granted},
                               filter.size());
    }
}

void plugin_hooks::client_unsubscribed(const session& s, std::string_view filter) {
    if (announce(hook::client_unsubscribed, "broker_client_unsubscribed")) {
        events_.push_unbounded(subscription_event{s.client_id(), std::string(filter), std::nullopt},
                               filter.size());
    }
}

void plugin_hooks::push_message(message_fate fate, const session* s, const message_ptr& m,
                                std::uint16_t packet_id) {
    events_.push_unbounded(
        broker_message_event{fate, s ? s->client_id() : std::string(), m, packet_id}, m->size());
}

void plugin_hooks::message_retained(const session* publisher, const message_ptr& m) {
    if (announce(hook::retained_message, "broker_retained_message")) {
        push_message(message_fate::retained, publisher, m, 0);
    }
}

void plugin_hooks::message_queued(const session& s, const message_ptr& m) {
    if (announce(hook::retained_message, "broker_retained_message")) {
        push_message(message_fate::queued, &s, m, 0);
    }
}

void plugin_hooks::message_received(const session& s, const message_ptr& m,
                                    std::uint16_t packet_id) {
    if (announce(hook::message_received, "broker_message_received")) {
        push_message(message_fate::received, &s, m, packet_id);
    }
}

void plugin_hooks::message_broadcast(const session& s, const message_ptr& m,
                                     std::uint16_t packet_id) {
    if (announce(hook::message_broadcast, "broker_message_broadcast")) {
        push_message(message_fate::broadcast, &s, m, packet_id);
    }
}

void plugin_hooks::packet_received(const client& from, bytes_view packet) {
    if (announce(hook::packet_received, "mqtt_packet_received")) {
        push_packet(from, packet, false);
    }
}

void plugin_hooks::packet_sent(const client& to, bytes_view packet) {
    if (announce(hook::packet_sent, "mqtt_packet_sent")) {
        push_packet(to, packet, true);
    }
}

void plugin_hooks::push_packet(const client& c, bytes_view packet, bool sent) {
    std::optional<std::string> client_id;
    if (c.phase == client_phase::connected) client_id = c.request->client_id;
    events_.push_unbounded(
        packet_event{
            sent, std::move(client_id), c.connection.version(), {packet.begin(), packet.end()}},
        packet.size());
}

void plugin_hooks::local_message(std::uint64_t subscriber, const message_ptr& m, bool retain) {
    if (events_.push(local_message_event{subscriber, m, retain}, m->size())) {
        // Not for each message that finds room among others that do not.
        if (drops_local_ && !events_.is_over_half_full()) drops_local_ = false;
    } else if (!std::exchange(drops_local_, true)) {
        events_.push_unbounded(log_record{log_level::warning, std::string(broker_logger),
                                          "the event loop does not keep up: messages for "
                                          "subscribers inside the process are dropped"});
    }
}

bool plugin_hooks::is_congested() const noexcept {
    // Log records do not count: they are dropped when there are too many.
    if (python_ == 0 || !events_.is_over_half_full()) return false;
    congested_ = true;
    // Python may have taken everything in between and not have seen that it is waited for: it
    // looks at congested_ after it has taken, so either it sees that or this sees what it took. If
    // it has seen it, what it does about that comes behind the present turn.
    return events_.is_over_half_full() || !congested_.exchange(false);
}

void plugin_hooks::log(log_level level, std::string text) {
    push_record({level, std::string(broker_logger), std::move(text)});
}

// There may be several for each client that comes and goes: what is no warning wakes nobody.
void plugin_hooks::push_record(log_record record) {
    if (lost_records_ > 0) {
        const log_record lost{log_level::warning, std::string(broker_logger),
                              "the event loop does not keep up: " + std::to_string(lost_records_) +
                                  " lines of the log were lost"};
        if (events_.push(lost, lost.text.size())) lost_records_ = 0;
    }
    const std::size_t size = record.text.size();
    const bool taken = record.level < log_level::warning
                           ? events_.push_deferred(std::move(record), size)
                           : events_.push(std::move(record), size);
    if (!taken) ++lost_records_;
}

}  // namespace amqtt
