// Gets messages to one subscriber: at once, or through its queue when it is away, its window
// is full or its output is not keeping up.
#pragma once

#include <optional>

#include "base/qos.hpp"
#include "broker/client.hpp"
#include "broker/drop_log.hpp"
#include "broker/journal.hpp"
#include "broker/publication.hpp"
#include "broker/rights_check.hpp"
#include "broker/router.hpp"
#include "broker/settings.hpp"
#include "broker/stats.hpp"
#include "broker/work_budget.hpp"
#include "session/session.hpp"

namespace amqtt {

enum class delivery_result : std::uint8_t {
    sent,
    queued,
    not_wanted,  // expired, or the client is away and the subscription does not outlive that
    dropped,     // the queue is full, or the message too large: see drop_log
};

class outbox {
  public:
    // now is the broker's present time.
    // total: what the messages of all sessions take. budget: of whoever has a turn.
    outbox(const broker_settings& settings, broker_stats& stats, drop_log& drops,
           const instant& now, backlog& total, work_budget& budget, delivery_guard& guard) noexcept
        : settings_(settings),
          stats_(stats),
          drops_(drops),
          now_(now),
          budget_(budget),
          guard_(guard),
          backlog_(total) {}

    // What is queued and in flight is to be kept in a store.
    void keep_in(journal& j) noexcept { journal_ = &j; }

    // A message for an established subscription: RETAIN is 0 unless Retain As Published is set
    // (3.1.1: MQTT-3.3.1-9, 5.0: MQTT-3.3.1-12, -13).
    // share: the shared subscription whose chosen member that is.
    delivery_result deliver(const route& to, publication& p, const share_name& share = nullptr);
    // A retained message for a new subscription: RETAIN is 1 (3.1.1: MQTT-3.3.1-8). Never dropped:
    // the retained store bounds it.
    void deliver_retained(const route& to, message_ptr m);
    // A message of a shared subscription whose member is gone.
    delivery_result redeliver(const subscription& member, queued_message m);

    // Sends what is in flight again, then what is queued (3.1.1: MQTT-4.4.0-1, MQTT-4.6.0-1).
    // What it returns is as of pump().
    bool resume(session& to);
    // The flow of a message is complete; another may be sent, see pump().
    void finish(session& to, inflight_entry& entry);
    // Forgets a message in flight that must not be sent again.
    void abandon(session& to, inflight_entry& entry);
    // Whether a message would be sent at once, whatever its QoS.
    bool can_send(session& to) const noexcept {
        return to.queue().empty() && may_send(to, qos::exactly_once);
    }
    // Queues a message that a session is to get, if there is room for it.
    bool push(session& to, queued_message m);
    // Queues a message that the store has already.
    void adopt(session& to, queued_message m);
    // The queue forgets m, whose place in the store goes with it.
    void dropped(const queued_message& m);
    // Sends as far as window, output and the present turn allow. False: there is more for the next
    // turn.
    [[nodiscard]] bool pump(session& to) {
        return (to.queue().empty() && !to.resend_pending) || send_waiting(to);
    }
    // Removes messages whose time is over from a queue, or from some queues of sessions that may
    // have such.
    void expire(session& to);
    void expire_some();

    // Asks the transport to look at a client's output.
    static void request_flush(client& c);

  private:
    struct options {
        qos level;
        bool retain;
        const subscription_ids& ids;
        share_name share;
    };

    bool may_send(session& to, qos level) const noexcept;
    std::size_t window_of(const session& to) const noexcept;
    delivery_result deliver_to(session& to, publication& p, qos granted, const options& how);
    // Why a message of that size cannot wait for a session, counted if it is dropped; else nothing.
    std::optional<delivery_result> refusal(session& to, std::size_t size, qos granted);
    // Whether a message of that size may wait for a session, after those whose time is over went.
    bool makes_room(session& to, std::size_t size);
    // Queues a message, whatever the bounds say.
    delivery_result enqueue(session& to, queued_message m);
    void watch_expiry(session& to);
    void record_queued(session& to);
    void record_sent(session& to, inflight_entry& entry, std::uint64_t queued_as, qos level);
    delivery_result send(session& to, queued_message&& m);
    // Precondition: packet is of that entry and of its QoS.
    void send_in_flight(client& c, inflight_entry& entry, outgoing_publish& packet);
    void resend(session& to);
    bool send_waiting(session& to);
    outgoing_publish packet_of(const message& m, qos level, bool retain,
                               const subscription_ids& ids) const noexcept;
    std::optional<std::uint32_t> seconds_left(const message& m) const noexcept;

    const broker_settings& settings_;
    broker_stats& stats_;
    drop_log& drops_;
    const instant& now_;
    work_budget& budget_;
    delivery_guard& guard_;
    journal* journal_ = nullptr;  // null: nothing is kept
    backlog& backlog_;
    expiring_sessions expiring_;  // that have messages which may expire
};

}  // namespace amqtt
