// Gets messages to one subscriber: at once, or through its queue when it is away, its window
// is full or its output is not keeping up.
#pragma once

#include "base/qos.hpp"
#include "broker/client.hpp"
#include "broker/publication.hpp"
#include "broker/settings.hpp"
#include "broker/stats.hpp"
#include "session/session.hpp"

namespace amqtt {

enum class delivery_result : std::uint8_t {
    sent,
    queued,
    not_wanted,  // the client is away and the subscription does not outlive that
    dropped,     // the queue is full
};

class outbox {
  public:
    outbox(const broker_settings& settings, broker_stats& stats) noexcept
        : settings_(settings), stats_(stats) {}

    // A message for an established subscription: RETAIN is 0 (3.1.1: MQTT-3.3.1-9).
    delivery_result deliver(session& to, publication& p, qos granted);
    // A retained message for a new subscription: RETAIN is 1 (3.1.1: MQTT-3.3.1-8). Never dropped:
    // the retained store bounds it.
    void deliver_retained(session& to, message_ptr m, qos granted);

    // Sends what is in flight again, then what is queued (3.1.1: MQTT-4.4.0-1, MQTT-4.6.0-1).
    void resume(session& to);
    // Sends from the queue as far as window and output allow.
    void pump(session& to);

    // Asks the transport to look at a client's output.
    static void request_flush(client& c);

  private:
    bool may_send(session& to, qos level) const noexcept;
    void send(session& to, queued_message m);
    void send_in_flight(client& c, const inflight_entry& entry, bool dup);

    const broker_settings& settings_;
    broker_stats& stats_;
};

}  // namespace amqtt
