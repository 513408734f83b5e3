// The broker core: what clients do to each other. One thread, no I/O, no clock.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "base/log_limiter.hpp"
#include "base/output_queue.hpp"
#include "base/timer_wheel.hpp"
#include "broker/client.hpp"
#include "broker/drop_log.hpp"
#include "broker/hooks.hpp"
#include "broker/journal.hpp"
#include "broker/outbox.hpp"
#include "broker/router.hpp"
#include "broker/session_registry.hpp"
#include "broker/settings.hpp"
#include "broker/stats.hpp"

namespace amqtt {

struct restored_state;

class broker {
  public:
    // hooks must outlive the broker.
    broker(const broker_settings& settings, hooks& policy);
    ~broker();
    broker(const broker&) = delete;
    broker& operator=(const broker&) = delete;

    // A peer connected. link must live until closed() was called for the client.
    std::unique_ptr<client> open(link& network, peer_info peer, instant now);

    // The peer sent input. False: read no more until link::resume_reading(), or not at all when
    // the client is closing.
    bool receive(client& c, bytes_view input, instant now);

    // The network connection is gone; to be called once for each client, before it is destroyed.
    void closed(client& c, instant now);

    // After link::catch_up(): what the client's peer had sent by then was received.
    void caught_up(client& c, instant now);

    // Some of the client's output was sent.
    void output_sent(client& c, std::size_t bytes);

    // Time has passed; to be called every timer_wheel::tick or so.
    void advance(instant now);
    // Goes on with what was left for later, see hooks::work_left().
    void work(instant now);

    // The answer to hooks::authenticate() that was pending. Ignored when it comes too late.
    // user_name: by which the client is to be known, when that is not the one it gave.
    void decide(std::uint64_t ticket, const decision& made, instant now,
                std::optional<std::string> user_name = std::nullopt);
    // The reply to a step of enhanced authentication that was pending; not pending itself.
    void reply(std::uint64_t ticket, const authentication_reply& answer, instant now);
    // The answer to hooks::check_topic() that was pending; ignored when it comes too late.
    void decide_topic(std::uint64_t ticket, const decision& made, instant now);

    // The bits of the hooks have changed.
    void hooks_changed();
    // Observers keep up again.
    void resume_clients();

    // Publishes a message of the server itself. level nullopt: at the QoS each subscriber was
    // granted. The topic must be valid; it may start with '$'.
    void publish(std::string_view topic, bytes_view payload, std::optional<qos> level, bool retain,
                 instant now);

    // -- what is kept beyond the process, see broker_restore.cpp

    // Keeps sessions and retained messages in a store, which must outlive the broker; before the
    // first client.
    void keep_in(state_store& store, const journal_settings& settings);
    // Takes what the store has, part by part, and then begins with it.
    void restore(stored_state part, instant now);
    void finish_restore(instant now);
    // Hands changes to the store, as state_store::changed() asks for. Returns when to call it
    // again, if it is too early now.
    std::optional<instant> settle(instant now);
    // The batch with that number is stored.
    void committed(std::uint64_t number, instant now);
    // What was not handed to the store yet; null: nothing.
    std::unique_ptr<state_changes> take_changes();

    // -- what the application does, see broker_admin.cpp

    // Keeps a message of the server for its topic, or with an empty payload forgets the kept one,
    // without publishing it.
    void retain(message_ptr content, instant now);
    // Disconnects a client; false if there is none.
    bool disconnect_client(std::string_view client_id, reason_code code, instant now);
    // A session without connection, for a client that is to come; null if there is one already.
    session* create_session(std::string_view client_id);
    // Subscribes a session; no retained message is sent. The code is as in SUBACK.
    reason_code add_subscription(session& s, std::string_view filter, qos level);
    // Queues a message for a session.
    bool enqueue(session& s, message_ptr content);
    // A subscriber inside the process: hooks::local_message() gets its messages, retained ones
    // first. False when filter has no valid syntax. The number must not be 0 or in use.
    bool subscribe_local(std::uint64_t subscriber, std::string_view filter, qos level, instant now);
    void unsubscribe_local(std::uint64_t subscriber);

    // Disconnects every client.
    void shutdown(instant now);

    const broker_stats& stats() const noexcept { return stats_; }
    const broker_settings& settings() const noexcept { return settings_; }
    // Where the blocks of its output come from; those that were sent elsewhere may come back here.
    block_pool& output_blocks() noexcept { return pool_; }
    // For lines that peers can cause.
    log_limiter& peer_log() noexcept { return peer_log_; }
    router& routes() noexcept { return router_; }
    session_registry& sessions() noexcept { return sessions_; }

  private:
    enum timer_kind : std::uint8_t {
        connect_timeout,
        decision_timeout,
        catch_up_timeout,
        pressure_limit,
        keep_alive,
        session_expiry,
        will_delay,
        reauthentication,
    };
    enum class will_action : std::uint8_t { publish, discard };

    // Handles what there is of input; false as for receive().
    bool process(client& c);
    void handle(client& c, const need_input&) = delete;
    void handle(client& c, const connect_packet& packet);
    void handle(client& c, const publish_packet& packet);
    void handle(client& c, const ack_packet& packet);
    void handle(client& c, const subscribe_packet& packet);
    void handle(client& c, const unsubscribe_packet& packet);
    // What its listener does not bear among the filters of a packet.
    template <class Filters>
    std::optional<protocol_violation> filter_problem(const client& c, const Filters& filters) const;
    void handle(client& c, const disconnect_packet& packet);
    void handle(client& c, const auth_packet& packet);
    void handle(client& c, const protocol_violation& violation);

    std::optional<protocol_violation> connect_problem(const connect_packet& packet,
                                                      const connection_limits& limits) const;
    // The client may come in: at once, or when its predecessor has caught up.
    void admit(client& c);
    void let_in(client& c);
    // why is logged, and told to the client as far as settings allow; reason is told instead.
    void refuse(client& c, reason_code code, std::string_view why, std::string_view reason = {});
    void disconnect(client& c, reason_code code, std::string_view why,
                    std::string_view reason = {});
    std::string_view told(std::string_view why) const noexcept;
    // Lets a client go on that was kept waiting.
    void go_on(client& c);

    void start_exchange(client& c);
    void take_step(client& c, const authentication_step& step);
    void take_reply(client& c, const authentication_reply& answer);
    void wait_for_exchange(client& c, timer_kind kind, duration limit);
    void end_exchange(client& c);
    void exchange_timed_out(client& c);

    // -- connections of one client after each other, see broker_succession.cpp

    // True: it has to wait.
    bool wait_for_predecessor(client& c);
    void let_in_successors(const client& predecessor);
    void leave_succession(client& c);
    session& session_for(client& c, bool& present);
    void take_over(session& s);

    properties connack_properties(const client& c, const std::string& response_information) const;
    void puback_received(session& s, std::uint16_t packet_id);
    void pubrec_received(client& c, const ack_packet& packet);
    void pubrel_received(client& c, std::uint16_t packet_id);
    void pubcomp_received(session& s, std::uint16_t packet_id);
    // until: what a PUBACK waits for; a PUBREC waits for everything.
    void acknowledge(client& c, qos level, std::uint16_t packet_id, reason_code code,
                     std::string_view reason = {}, std::uint64_t until = 0);
    void publish_from(client& c, const publish_packet& packet);
    void publish_checked(client& c, publication& p, std::uint16_t packet_id);
    void publish_allowed(client& c, publication& p, std::uint16_t packet_id);
    void publish_refused(client& c, const publication& p, std::uint16_t packet_id,
                         const decision& made);
    void finish_subscribe(client& c, const subscribe_packet& packet, std::uint32_t id,
                          std::vector<reason_code> codes, std::string_view reason);
    // Why the filter is refused, or success.
    reason_code check_filter(session& s, std::string_view name,
                             const std::optional<parsed_filter>& filter) const;
    reason_code subscribe(session& s, const subscription_request& request, std::uint32_t id,
                          bool& wants_retained);

    // -- retained messages for those who subscribe, see broker_retained.cpp

    // Sends or queues them, at once or, while the session's queue is full of others, later.
    void begin_retained(subscription& to, qos granted);
    std::unique_ptr<retained_turn> turn_of(const subscription& to, qos granted);
    bool has_room_for_retained(session& s);
    // As many as there is room for, but not too many at once.
    void deliver_retained(session& to);
    void deliver_retained(const route& to, message_ptr m);
    void go_on_later(session& with);

    void finish(session& s, std::uint16_t packet_id);

    // -- decisions on topics, see broker_decisions.cpp

    struct question {
        topic_action action;
        std::string topic;
        session* subject = nullptr;  // null: gone, but for its will
        client* asker = nullptr;     // of a packet that is held
        std::size_t index = 0;       // in a SUBSCRIBE
        message_ptr will = nullptr;
        std::optional<std::uint32_t> will_expiry = std::nullopt;
    };

    // What policy says; with pending, what is asked is to be noted with ask().
    decision check(const session& who, topic_action action, std::string_view topic,
                   std::uint64_t& ticket);
    void ask(std::uint64_t ticket, question what);
    void forget_questions(std::span<const std::uint64_t> tickets);
    void expire_questions();
    void answer(std::uint64_t ticket, question asked, const decision& made);
    void answer_publish(client& c, const decision& made);
    void answer_subscribe(client& c, std::size_t index, const decision& made);
    void answer_receive(std::uint64_t ticket, session& to, const decision& made);
    // True when a message may go out now; else the gate has it, or it is refused.
    bool pass_gate(const route& to, publication& p, const share_name& share, bool retained);
    void drain_gate(session& to);
    void forget_gate(session& s);
    void log_refusal(const session& s, topic_action action, std::string_view topic);
    void log_late_decision(const question& asked);

    bool distribute(publication& p);
    void deliver(const route& to, publication& p, const share_name& share);
    void deliver_now(const route& to, publication& p, const share_name& share);

    // -- publishers that wait for a subscriber, see broker_pressure.cpp

    void slow_down(const session* publisher, const session& to);
    void relieve(client& slow);
    void end_pressure(client& slow);
    void give_up(client& slow);
    void wait_no_more(client& fast);

    void distribute_to_group(shared_group& group, publication& p);
    void publish_will(session& publisher, const will_message& will);
    void store_retained(publication& p);
    // Whether the message is within the quotas of retained messages.
    bool may_retain(const publication& p) const;
    void count_packets(client& c);
    void watch_packets(client& c);

    // Ends the client's part in the broker: session, will, hooks. The transport closes later.
    // with_commit: the connection closes when what that changes is stored.
    void end(client& c, reason_code reason, will_action action, bool with_commit = false);
    void leave(client& c, session& s, std::unique_ptr<will_message> will, reason_code reason);
    // Ends a session that is not connected; its delayed will is published.
    // leaving: the client whose connection has ended just now, and why.
    void drop_session(session& s, const client* leaving = nullptr,
                      reason_code reason = reason_code::success);
    void hand_over_shared(session& s);
    void set_expiry_timer(session& s, duration left);
    // Of the journal, if there is one.
    std::uint64_t position() const noexcept { return journal_ ? journal_->position() : 0; }
    std::uint64_t since(std::uint64_t position) const noexcept {
        return journal_ ? journal_->since(position) : 0;
    }
    void session_changed(session& s) {
        if (journal_) journal_->session_changed(s);
    }
    void forget_retained(const message_ptr& m);
    void restore_session(session_row& row);
    void restore_subscription(const subscription_row& row);
    void restore_delivery(const delivery_row& row);
    void restore_retained(const message_row& row);
    void deliver_restored(const delivery_row& row);
    // Reads again from those who cause changes, if there is room for them.
    void make_use_of_room();
    void begin_again(session& s, bool was_connected);
    duration expiry_of(const session& s) const noexcept;
    void timer_fired(timer& t);
    void log_not_retained(const publication& p);
    // At a bounded rate, since what the client does is the reason.
    void log(const log_kind& kind, const client& c, std::string_view text);

    broker_settings settings_;
    hooks& hooks_;
    broker_stats stats_;
    log_limiter peer_log_;
    drop_log drops_;
    block_pool pool_;
    timer_wheel timers_;
    router router_;
    session_registry sessions_;
    outbox outbox_;
    std::unique_ptr<journal> journal_;          // null: nothing is kept
    std::unique_ptr<restored_state> restored_;  // while it comes
    bool waits_for_room_ = false;               // somebody, in the journal
    boost::intrusive::list<client, boost::intrusive::constant_time_size<false>> clients_;
    boost::unordered_flat_map<std::uint64_t, client*> decisions_;
    // Who waits for a connection to catch up, in the order in which they came.
    boost::unordered_flat_map<const client*, std::vector<client*>> successors_;
    boost::unordered_flat_map<std::uint64_t, question> questions_;
    std::deque<std::pair<std::uint64_t, instant>> deadlines_;  // of questions, in their order
    boost::unordered_flat_map<const session*, receive_gate> gates_;
    // Sessions whose retained messages work() is to go on with.
    boost::unordered_flat_set<session*> unfinished_;
    bool work_is_left_ = false;
    std::uint64_t last_ticket_ = 0;
    // Subscribers inside the process, by their number.
    boost::unordered_flat_map<std::uint64_t, std::unique_ptr<session>> locals_;
    instant now_{0};
};

}  // namespace amqtt
