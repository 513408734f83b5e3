// The broker's hooks as plugins see them: what the packaged ones decide here, and the rest in
// Python.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log_limiter.hpp"
#include "bridge/broker_messages.hpp"
#include "bridge/mailbox.hpp"
#include "bridge/open_questions.hpp"
#include "broker/hooks.hpp"
#include "policy/packaged_policy.hpp"
#include "policy/verdict_cache.hpp"

namespace amqtt {

// What only Python can decide.
struct python_decisions {
    bool authenticate = false;
    bool topics = false;
    std::vector<std::string> authentication_methods = {};  // of enhanced authentication
    question_limits pending = {};                          // about clients
};

// What is known of a session, and of its connection if it has one.
session_facts facts_of(session& s);

class plugin_hooks : public hooks {
  public:
    // then: to be called when the broker has left work for later. now: what time it is.
    plugin_hooks(policy_settings settings, python_decisions python, mailbox<broker_event>& events,
                 std::function<void()> then, std::function<instant()> now);

    // python: bits of the events that Python wants; logged: of those that the event logger logs.
    void set_events(std::uint32_t python, std::uint32_t logged) noexcept;
    verdict_cache& verdicts() noexcept { return verdicts_; }
    // Time has passed; to be called now and then.
    void advance(instant now) { event_log_.advance(now); }
    // Logs what was counted so far.
    void finish(instant now) { event_log_.finish(now); }
    const question_limits& limits() const noexcept { return python_decides_.pending; }
    // Python has answered a question about a client, or about a topic. Before the broker is told,
    // which may have the next question.
    void client_answered(std::uint64_t ticket) { client_questions_.answered(ticket); }
    void topic_answered(std::uint64_t ticket) { topic_questions_.answered(ticket); }
    // True once after is_congested() was.
    bool take_congestion() noexcept { return congested_.exchange(false); }

    bool has_room_for(const client& who) override;
    verdict authenticate(const client& who, std::uint64_t ticket) override;
    authentication_reply authenticate(const client& who, const authentication_step& step,
                                      std::uint64_t ticket) override;
    void authentication_ended(std::uint64_t ticket) override;
    decision check_topic(const session& who, topic_action action, std::string_view topic,
                         std::uint64_t ticket, instant now) override;
    bool is_refused(const session& who, std::string_view topic, instant now) override;
    void topic_decided(const session& who, topic_action action, std::string_view topic,
                       const decision& made, instant now) override;
    void client_connected(const client& who, bool session_present) override;
    void client_disconnected(const client& who, reason_code reason) override;
    void client_refused(const client& who) override;
    void session_ended(const session& s) override;
    void user_changed(const session& s) override;
    void client_subscribed(const session& s, std::string_view filter, qos granted) override;
    void client_unsubscribed(const session& s, std::string_view filter) override;
    void message_retained(const session* publisher, const message_ptr& m) override;
    void message_queued(const session& s, const message_ptr& m) override;
    void message_received(const session& s, const message_ptr& m, std::uint16_t packet_id) override;
    void message_broadcast(const session& s, const message_ptr& m,
                           std::uint16_t packet_id) override;
    void packet_received(const client& from, bytes_view packet) override;
    void packet_sent(const client& to, bytes_view packet) override;
    void local_message(std::uint64_t subscriber, const message_ptr& m, bool retain) override;
    instant time() const noexcept override { return now_(); }
    void work_left() override { work_left_(); }
    bool is_congested() const noexcept override;
    void log(log_level level, std::string text) override;

  private:
    // Logs the event if the event logger wants it; true if Python wants it.
    bool announce(hook event, std::string_view name);
    // The same for an event that is logged by default, at a bounded rate.
    bool announce(hook event, const log_kind& kind, std::string_view name);
    bool asks_about_clients() const noexcept {
        return python_decides_.authenticate || !python_decides_.authentication_methods.empty();
    }
    void push_record(log_record record);
    void push_message(message_fate fate, const session* s, const message_ptr& m,
                      std::uint16_t packet_id);
    void push_packet(const client& c, bytes_view packet, bool sent);

    packaged_policy policy_;
    python_decisions python_decides_;
    mailbox<broker_event>& events_;
    std::function<void()> work_left_;
    std::function<instant()> now_;
    log_limiter event_log_;
    std::uint64_t lost_records_ = 0;  // since that was logged
    verdict_cache verdicts_;
    open_questions client_questions_;
    open_questions topic_questions_;
    std::uint64_t unseen_ =
        0;  // ticket of the exchange that has ended last, if Python never saw it
    std::uint32_t python_ = 0;
    std::uint32_t logged_ = 0;
    bool drops_local_ = false;
    mutable std::atomic<bool> congested_ = false;
};

}  // namespace amqtt
