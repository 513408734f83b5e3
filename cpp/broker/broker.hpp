// The broker core: what clients do to each other. One thread, no I/O, no clock.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include "base/log_limiter.hpp"
#include "base/output_queue.hpp"
#include "base/timer_wheel.hpp"
#include "broker/client.hpp"
#include "broker/drop_log.hpp"
#include "broker/hooks.hpp"
#include "broker/input_ledger.hpp"
#include "broker/journal.hpp"
#include "broker/outbox.hpp"
#include "broker/publisher_throttle.hpp"
#include "broker/rights_check.hpp"
#include "broker/router.hpp"
#include "broker/session_registry.hpp"
#include "broker/settings.hpp"
#include "broker/stats.hpp"
#include "broker/work_budget.hpp"
#include "broker/work_line.hpp"
#include "topic/filter.hpp"

namespace amqtt {

class state_restorer;

class broker : private delivery_guard, private publisher_resumer {
  public:
    // hooks must outlive the broker.
    broker(const broker_settings& settings, hooks& policy);
    ~broker() override;
    broker(const broker&) = delete;
    broker& operator=(const broker&) = delete;

    // A peer connected. network must live until closed() was called for the client.
    std::unique_ptr<client> open(connection_control& network, peer_info peer, instant now);

    // The peer sent input. False: read no more until connection_control::resume_reading(), or not
    // at all when the client is closing.
    bool receive(client& c, bytes_view input, instant now);

    // The network connection is gone; to be called once for each client, before it is destroyed.
    void closed(client& c, instant now);

    // After connection_control::catch_up(): what the client's peer had sent by then was received.
    void caught_up(client& c, instant now);

    // Some of the client's output was sent.
    void output_sent(client& c, std::size_t bytes);

    // Time has passed; to be called every timer_wheel::tick or so.
    void advance(instant now);
    // Gives clients and sessions that stand in line a turn each, until they have taken together
    // what one may take alone; see hooks::work_left().
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
    std::optional<instant> commit_if_due(instant now);
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
    // What the policy says may have changed, for one client or for all: what waits is checked again
    // before it is sent, and the subscriptions of clients that are away when they are back.
    void rights_changed(const std::optional<std::string>& client_id);
    // Ends a subscription that is not allowed any more, and removes what waits because of it.
    // False: there is none.
    bool revoke(session& s, std::string_view filter_name);
    // Removes messages whose time is over from a session's queue.
    void expire_queue(session& s, instant now);
    // Queues a message for a session.
    bool enqueue(session& s, message_ptr content);
    // A subscriber inside the process: hooks::local_message() gets its messages, retained ones
    // first. False when filter has no valid syntax. The number must not be 0 or in use.
    bool subscribe_local(std::uint64_t subscriber, std::string_view filter, qos level, instant now);
    void unsubscribe_local(std::uint64_t subscriber);

    // -- the end, see broker_shutdown.cpp; nobody may connect any more

    // Publishes the wills of all clients.
    void begin_shutdown(instant now);
    // Disconnects each client for which nothing waits. To be called now and then, until it returns
    // true: no client is left.
    bool shutdown_served(instant now);
    // Publishes the wills, then disconnects every client.
    void shutdown(instant now);

    const broker_stats& stats() const noexcept { return stats_; }
    const broker_settings& settings() const noexcept { return settings_; }
    // Where the blocks of its output come from; those that were sent elsewhere may come back here.
    block_pool& output_blocks() noexcept { return pool_; }
    // For lines that peers can cause.
    log_limiter& peer_log() noexcept { return peer_log_; }
    router& routes() noexcept { return router_; }
    // What queues, windows and gates take of memory.
    std::size_t queued_bytes() const noexcept { return backlog_.bytes(); }
    session_registry& sessions() noexcept { return sessions_; }

  private:
    enum class will_action : std::uint8_t { publish, discard };

    // The beginning of what the transport asks for: the present time, and a turn of its own.
    void begin(instant now) noexcept {
        now_ = now;
        budget_.begin_turn();
    }
    // -- out of memory, see broker_failures.cpp

    // Does something for a client that is not the one whose input or output is at work; if it
    // throws, that client is disconnected soon. False: it has thrown.
    template <class F>
    bool shielded(client& c, F&& f) noexcept {
        try {
            f();
            return true;
        } catch (...) {
            fail(c);
            return false;
        }
    }
    // Does a step of which others do not depend. False: it has thrown.
    template <class F>
    bool attempt(F&& f) noexcept {
        try {
            f();
            return true;
        } catch (...) {
            log_failure();
            return false;
        }
    }
    // In a handler of an exception.
    void fail(client& c) noexcept;
    void log_failure() noexcept;

    // Handles input as far as the turn goes; false as for receive().
    bool process(client& c);
    // The same, and false if more input is not welcome for other reasons.
    bool process_and_check(client& c);
    void stand_in_line(place_in_line& p);
    // The client has its turn, or is not to have one any more.
    void leave_line(client& c) noexcept;
    void ask_for_work();
    // Of those in line, as far as one turn goes in all.
    void take_turns();
    void take_turn(place_in_line& p);
    // The client's input was dealt with.
    void read_on(client& c);
    void handle_event(client& c, const server_event& event);
    void handle(client& c, const no_packet&) = delete;
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
    void accept_client(client& c);
    // why is logged, and told to the client as far as settings allow; reason is told instead.
    void refuse(client& c, reason_code code, std::string_view why, std::string_view reason = {});
    // Because hooks have no room for it.
    void refuse_busy(client& c);
    void disconnect(client& c, reason_code code, std::string_view why,
                    std::string_view reason = {});
    std::string_view told(std::string_view why) const noexcept;
    // Lets a client go on that was kept waiting: at once, or when it is its turn.
    void go_on(client& c);
    void go_on_in_line(client& c);
    // Sends what waits for a session, and lets those know who wait for that.
    void pump(session& s) {
        if (s.has_more_to_send()) send_more(s);
    }
    void send_more(session& s);

    void start_exchange(client& c);
    void take_step(client& c, const authentication_step& step);
    void take_reply(client& c, const authentication_reply& answer);
    bool change_user(client& c, const std::string& name);
    // Otherwise: what is done at the limit when the client is not connected yet.
    template <auto Otherwise>
    void wait_for_exchange(client& c, duration limit);
    void end_exchange(client& c);
    void exchange_timed_out(client& c);

    // -- connections of one client after each other, see broker_takeover.cpp

    // True: it has to wait.
    bool wait_for_predecessor(client& c);
    void accept_successors(const client& predecessor);
    void leave_takeover(client& c);
    // Whether a session may be that user's: it is, or nobody's yet, or sessions have no owners.
    bool belongs_to(const session& s, const std::optional<std::string>& user) const noexcept;
    // True: it wanted the session of another user, so it was refused before that was touched.
    bool refuse_other_user(client& c);
    void log_other_user(const session& s, const std::optional<std::string>& user);
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
    bool check_filters(client& c, const subscribe_packet& packet, subscribe_progress& progress);
    void check_filter(client& c, std::string_view name, subscribe_progress& progress);
    // Why the filter is refused, whoever asks; or success.
    reason_code why_not(session& s, std::string_view name,
                        const std::optional<parsed_filter>& filter) const;
    reason_code subscribe(session& s, const subscription_request& request, std::uint32_t id,
                          bool& wants_retained);

    // -- what sessions take of memory, see broker_budget.cpp

    void count_session(session& s);
    // Whether there is room for a client's session, which may be there already.
    bool has_room_for(const client& c);
    // To be called after the client's packets were handled.
    void count_state(client& c);
    // Subscribing is undone when the session has too much then.
    bool exceeds_subscription_bytes(const session& s) const noexcept;
    void log_refused_subscription(const session& s);

    // -- retained messages for those who subscribe, see broker_retained.cpp

    // Sends or queues them, at once or, while the session's queue is full of others, later.
    void begin_retained(subscription& to, qos granted);
    std::unique_ptr<retained_turn> turn_of(const subscription& to, qos granted);
    std::size_t room_for_retained(session& s);
    bool has_room_for_retained(session& s, const message& m);
    // As many as there is room for, and as the turn admits.
    void deliver_retained(session& to);
    // Of those that were found; false: there is no room for the next one.
    bool deliver_found(session& to, const subscription& wanting);
    void deliver_retained(const route& to, message_ptr m);
    void go_on_later(session& with);

    void finish(session& s, inflight_entry& entry);

    // -- decisions on topics, see broker_decisions.cpp

    struct question {
        topic_action action;
        std::string topic;
        session* subject = nullptr;  // null: gone, but for its will
        client* asker = nullptr;     // of a packet that is held
        std::size_t index = 0;       // in a SUBSCRIBE
        message_ptr will = nullptr;
        std::optional<std::uint32_t> will_expiry = std::nullopt;
        std::uint64_t login = 0;        // of the subject, when it was asked about
        std::string subscription = {};  // that is there, and is checked again
    };

    // What policy says; with pending, what is asked is to be noted with ask().
    decision check(const session& who, topic_action action, std::string_view topic,
                   std::uint64_t& ticket);
    void ask(std::uint64_t ticket, question what);
    // Another login has the session since that was asked.
    void ask_again(std::uint64_t ticket, const question& what);
    void forget_questions(std::span<const std::uint64_t> tickets);
    void expire_questions();
    void answer(std::uint64_t ticket, question asked, const decision& made);
    void answer_publish(client& c, const decision& made);
    void answer_subscribe(client& c, std::size_t index, const decision& made);
    gated_message* find_gated(std::uint64_t ticket, session& to);
    void answer_receive(std::uint64_t ticket, session& to, const decision& made);
    // True when a message may go out now; else the gate has it, or it is refused.
    bool pass_gate(const route& to, publication& p, const share_name& share, bool retained);
    bool gate_has_room(authorization_queue& gate, std::size_t size);
    void leave_gate(authorization_queue& gate, const gated_message& m);
    void drain_gate(session& to);
    void go_on_behind_gate(session& to);
    void forget_gate(session& s);

    // -- rights that may have been withdrawn, see broker_rights.cpp

    void check_queue(session& s);
    void check_rights(session& s);
    void check_in_flight(session& s);
    void drop_waiting(session& s, const parsed_filter& filter, std::string_view name);
    verdict check_waiting(session& to, const message_ptr& first) override;
    // True: the question was one of these.
    bool answer_check(std::uint64_t ticket, const question& asked, const decision& made);
    void forget_checks(const session& s);
    // A QoS 2 message waits for its PUBCOMP from now on.
    void release_content(session& s, inflight_entry& entry);

    void log_refusal(const session& s, topic_action action, std::string_view topic);
    void log_late_decision(const question& asked);

    // -- to those who subscribe, see broker_distribution.cpp

    // Null when all have it. wanted: whether there is anybody.
    std::unique_ptr<unfinished_publish> begin_to_distribute(publication& p, bool& wanted);
    std::unique_ptr<unfinished_publish> unfinished(publication& p);
    void begin_search(unfinished_publish& u, const topic_routes* found);
    // A message that no client waits for.
    void distribute(publication& p);
    // Throws when a subscriber did not get the message, since its publisher is not to be told that
    // it has arrived.
    void check_delivered(const publication& p);
    void publish_later(std::unique_ptr<unfinished_publish> rest);
    void go_on_publishing();
    void forget_publisher(const session& s);
    // True: it is over. Here and below.
    bool go_on(unfinished_publish& u);
    bool distribute_part(unfinished_publish& u);
    bool go_on(client& c, const subscribe_packet& packet, subscribe_progress& progress);
    bool go_on(client& c, const unsubscribe_packet& packet, unsubscribe_progress& progress);
    bool go_on_with_unfinished(client& c);
    void finish_later(client& c, unfinished_packet rest);
    void leave_unfinished(client& c);
    void deliver_by(const topic_routes& of, const route& one, publication& p);
    void deliver(const route& to, publication& p, const share_name& share);
    void deliver_now(const route& to, publication& p, const share_name& share);

    // -- input that is kept, see broker_input.cpp

    duration packet_limit(const client& c) const noexcept;
    // When it is to be disconnected unless more comes from it.
    instant silence_deadline(client& c) noexcept;
    void check_silence(client& c);
    void input_kept(client& c);
    void end_for_room(client& c);

    void resume_publisher(client& waited) noexcept override {
        shielded(waited, [&] { go_on_in_line(waited); });
    }
    void distribute_to_group(shared_group& group, publication& p);
    void publish_will(session& publisher, const will_message& will);
    void store_retained(publication& p);
    // Whether the message is within the quotas of retained messages.
    bool may_retain(const publication& p);
    // Removes that many retained messages whose time is over, if there are; returns how many.
    std::size_t expire_retained(std::size_t most);
    void count_packets(client& c);
    void watch_packets(client& c);

    // Ends the client's part in the broker: session, will, hooks. The transport closes later.
    // with_commit: the connection closes when what that changes is stored.
    void end(client& c, reason_code reason, will_action action, bool with_commit = false);
    void leave(client& c, session& s, std::unique_ptr<will_message> will, reason_code reason);
    void stay_away(client& c, session& s, std::unique_ptr<will_message> will, reason_code reason,
                   duration expiry);
    // Ends a session that is not connected; its delayed will is published.
    // leaving: the client whose connection has ended just now, and why.
    void drop_session(session& s, const client* leaving = nullptr,
                      reason_code reason = reason_code::success);
    void hand_over_shared(session& s);
    // A session of which there is more to remove than one turn admits.
    struct ended_session {
        explicit ended_session(std::unique_ptr<session> s) noexcept : what(std::move(s)) {}

        std::unique_ptr<session> what;
        std::list<ended_session>::iterator self = {};
        place_in_line in_line{place_in_line::kind::ended, this};
    };
    void remove_later(std::unique_ptr<session> ended);
    void go_on_removing(ended_session& e);
    void fire_timers();
    void set_expiry_timer(session& s, duration left);
    // Of the journal, if there is one.
    std::uint64_t position() const noexcept { return journal_ ? journal_->position() : 0; }
    std::uint64_t since(std::uint64_t position) const noexcept {
        return journal_ ? journal_->since(position) : 0;
    }
    void session_changed(session& s) {
        count_session(s);
        if (journal_) journal_->session_changed(s);
    }
    void forget_retained(const message_ptr& m);
    void deliver_restored(session& to, const message_ptr& content, const delivery_row& row);
    // Reads again from those who cause changes, if there is room for them.
    void make_use_of_room();
    void begin_again(session& s, bool was_connected);
    duration expiry_of(const session& s) const noexcept;
    // Nothing waits to be sent to it.
    bool is_served(client& c);
    void end_for_shutdown(client& c);
    // -- what is done when a timer is due

    template <auto Then>
    void when_due(timer& t, client& c) noexcept {
        t.expired = [this, &c] { shielded(c, [&] { (this->*Then)(c); }); };
    }
    template <auto Then>
    void when_due(timer& t, session& s) noexcept {
        t.expired = [this, &s] { attempt([&] { (this->*Then)(s); }); };
    }
    void delayed_will_due(session& s);
    void session_expired(session& s);
    void connect_timed_out(client& c);
    void decision_timed_out(client& c);
    void predecessor_timed_out(client& c);
    void end_failed(client& c);

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
    backlog backlog_;
    session_registry sessions_;
    work_budget budget_{hooks_};  // of whoever has a turn
    outbox outbox_;
    publisher_throttle throttle_;
    std::unique_ptr<journal> journal_;          // null: nothing is kept
    std::unique_ptr<state_restorer> restorer_;  // while stored state comes
    bool waits_for_room_ = false;               // somebody, in the journal
    boost::intrusive::list<client, boost::intrusive::constant_time_size<false>> clients_;
    boost::unordered_flat_map<std::uint64_t, client*> decisions_;
    // Who waits for a connection to catch up, in the order in which they came.
    boost::unordered_flat_map<const client*, std::vector<client*>> successors_;
    boost::unordered_flat_map<std::uint64_t, question> questions_;
    std::deque<std::pair<std::uint64_t, instant>> deadlines_;  // of questions, in their order
    boost::unordered_flat_map<const session*, authorization_queue> gates_;
    boost::unordered_flat_map<const session*, rights_check> checks_;
    std::uint32_t rights_ = 1;  // counts changes of rights
    work_line line_;
    std::size_t clients_in_line_ = 0;
    // Messages of the broker itself that not all subscribers have yet.
    std::deque<std::unique_ptr<unfinished_publish>> publications_;
    place_in_line publications_in_line_{place_in_line::kind::publications, this};
    std::list<ended_session> ended_;
    place_in_line timers_in_line_{place_in_line::kind::timers, this};
    // The places of sessions in it.
    boost::unordered_flat_map<session*, std::unique_ptr<place_in_line>> sessions_in_line_;
    bool work_is_asked_for_ = false;  // of the hooks, and work() is to come
    std::uint64_t last_ticket_;
    std::uint64_t last_login_ = 0;
    // Subscribers inside the process, by their number.
    boost::unordered_flat_map<std::uint64_t, std::unique_ptr<session>> locals_;
    instant now_{0};
    input_ledger kept_;
    bool was_undelivered_ = false;  // a message, to a subscriber
};

}  // namespace amqtt
