// The broker core: what clients do to each other. One thread, no I/O, no clock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include "base/output_queue.hpp"
#include "base/timer_wheel.hpp"
#include "broker/client.hpp"
#include "broker/hooks.hpp"
#include "broker/outbox.hpp"
#include "broker/router.hpp"
#include "broker/session_registry.hpp"
#include "broker/settings.hpp"
#include "broker/stats.hpp"

namespace amqtt {

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

    // Some of the client's output was sent.
    void output_sent(client& c, std::size_t bytes);

    // Time has passed; to be called every timer_wheel::tick or so.
    void advance(instant now);

    // The answer to hooks::authenticate() that was pending. Ignored when it comes too late.
    void decide(std::uint64_t ticket, bool allowed, instant now);
    // The reply to a step of enhanced authentication that was pending; not pending itself.
    void reply(std::uint64_t ticket, const authentication_reply& answer, instant now);

    // Publishes a message of the server itself. level nullopt: at the QoS each subscriber was
    // granted. The topic must be valid; it may start with '$'.
    void publish(std::string_view topic, bytes_view payload, std::optional<qos> level, bool retain,
                 instant now);

    // Disconnects every client.
    void shutdown(instant now);

    const broker_stats& stats() const noexcept { return stats_; }
    const broker_settings& settings() const noexcept { return settings_; }
    router& routes() noexcept { return router_; }
    session_registry& sessions() noexcept { return sessions_; }

  private:
    enum timer_kind : std::uint8_t {
        connect_timeout,
        decision_timeout,
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
    void handle(client& c, const disconnect_packet& packet);
    void handle(client& c, const auth_packet& packet);
    void handle(client& c, const protocol_violation& violation);

    std::optional<protocol_violation> connect_problem(const connect_packet& packet,
                                                      const connection_limits& limits) const;
    void admit(client& c, std::string_view authentication_data = {});
    // why is logged, and told to the client as far as settings allow.
    void refuse(client& c, reason_code code, std::string_view why);
    void disconnect(client& c, reason_code code, std::string_view why);
    std::string_view told(std::string_view why) const noexcept;
    // Lets a client go on that was kept waiting.
    void go_on(client& c);

    void start_exchange(client& c);
    void take_step(client& c, const authentication_step& step);
    void take_reply(client& c, const authentication_reply& answer);
    void wait_for_exchange(client& c, timer_kind kind, duration limit);
    void end_exchange(client& c);
    void exchange_timed_out(client& c);
    session& session_for(client& c, bool& present);
    void take_over(session& s);
    properties connack_properties(const client& c, const std::string& response_information) const;
    void puback_received(session& s, std::uint16_t packet_id);
    void pubrec_received(client& c, const ack_packet& packet);
    void pubrel_received(client& c, std::uint16_t packet_id);
    void pubcomp_received(session& s, std::uint16_t packet_id);
    // What the acknowledgement is to say.
    reason_code publish_from(client& c, const publish_packet& packet);
    // Why the filter is refused, or success.
    reason_code check_filter(session& s, std::string_view name,
                             const std::optional<parsed_filter>& filter) const;
    reason_code subscribe(session& s, const subscription_request& request, std::uint32_t id,
                          bool& wants_retained);
    // Sends or queues retained messages, at once or, while the session's queue is full of others,
    // later.
    void deliver_retained_in_turn(subscription& to, qos granted);
    void deliver_retained(session& to);
    void deliver_retained(const subscription& to, qos granted);
    void finish(session& s, std::uint16_t packet_id);

    bool distribute(publication& p);
    void distribute_to_group(shared_group& group, publication& p);
    void publish_will(const session* publisher, const will_message& will);
    void store_retained(publication& p);
    // Whether the message is within the quotas of retained messages.
    bool may_retain(const publication& p) const;

    // Ends the client's part in the broker: session, will, hooks. The transport closes later.
    void end(client& c, reason_code reason, will_action action);
    void leave(session& s, std::optional<will_message> will);
    // Ends a session that is not connected; its delayed will is published.
    void drop_session(session& s);
    void hand_over_shared(session& s);
    duration expiry_of(const session& s) const noexcept;
    void timer_fired(timer& t);
    void count_drop(const session& s);
    void count_not_retained(const publication& p);
    void log(log_level level, const client& c, std::string_view text);

    broker_settings settings_;
    hooks& hooks_;
    broker_stats stats_;
    block_pool pool_;
    timer_wheel timers_;
    router router_;
    session_registry sessions_;
    outbox outbox_;
    boost::intrusive::list<client, boost::intrusive::constant_time_size<false>> clients_;
    boost::unordered_flat_map<std::uint64_t, client*> decisions_;
    std::uint64_t last_ticket_ = 0;
    instant now_{0};
    instant drops_logged_{0};
    std::uint64_t drops_since_log_ = 0;
    instant not_retained_logged_{0};
    std::uint64_t not_retained_since_log_ = 0;
};

}  // namespace amqtt
