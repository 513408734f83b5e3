#include "broker/outbox.hpp"

#include <utility>

namespace amqtt {

void outbox::request_flush(client& c) {
    if (c.flush_requested) return;
    c.flush_requested = true;
    c.network->flush_soon();
}

bool outbox::may_send(session& to, qos level) const noexcept {
    return to.connection && to.connection->has_room(settings_) &&
           (level == qos::at_most_once || to.inflight().size() < settings_.max_inflight_messages);
}

delivery_result outbox::deliver(session& to, publication& p, qos granted) {
    const qos level = p.level_for(granted);
    if (to.queue().empty() && may_send(to, level)) {
        if (level != qos::at_most_once) {
            send(to, {p.share(), level, false});
            return delivery_result::sent;
        }
        delivery d{p.topic(), p.payload(), level, false, false, 0, nullptr};
        if (p.payload().size() > copied_payload_max) {
            d.shared = p.share();
            d.payload = d.shared->payload();
        }
        to.connection->connection.send_publish(d);
        ++stats_.publish_sent;
        request_flush(*to.connection);
        return delivery_result::sent;
    }
    const bool waits = to.connection || (granted != qos::at_most_once && !to.clean);
    if (!waits) return delivery_result::not_wanted;
    if (to.queue().push({p.share(), level, false})) return delivery_result::queued;
    ++stats_.publish_dropped;
    return delivery_result::dropped;
}

void outbox::deliver_retained(session& to, message_ptr m, qos granted) {
    const qos level = lower_of(m->level(), granted);
    if (to.queue().empty() && may_send(to, level)) {
        send(to, {std::move(m), level, true});
    } else {
        to.queue().push_unbounded({std::move(m), level, true});
    }
}

void outbox::send(session& to, queued_message m) {
    client& c = *to.connection;
    if (m.level == qos::at_most_once) {
        c.connection.send_publish({m.content->topic(), m.content->payload(), m.level, m.retain,
                                   false, 0, m.content});
    } else {
        // may_send() has kept the window far below the number of identifiers.
        const std::uint16_t packet_id = to.inflight().next_packet_id();
        const auto& entry = to.inflight().add(packet_id, m.level, std::move(m.content), m.retain);
        send_in_flight(c, entry, false);
    }
    ++stats_.publish_sent;
    request_flush(c);
}

void outbox::send_in_flight(client& c, const inflight_entry& entry, bool dup) {
    if (entry.state == inflight_state::awaiting_pubcomp) {
        c.connection.send_ack(packet_type::pubrel, entry.packet_id, reason_code::success);
        return;
    }
    const qos level = entry.state == inflight_state::awaiting_pubrec ? qos::exactly_once
                                                                     : qos::at_least_once;
    c.connection.send_publish({entry.content->topic(), entry.content->payload(), level,
                               entry.retain, dup, entry.packet_id, entry.content});
}

void outbox::resume(session& to) {
    client& c = *to.connection;
    to.inflight().for_each([&](const inflight_entry& entry) { send_in_flight(c, entry, true); });
    if (!to.inflight().empty()) request_flush(c);
    pump(to);
}

void outbox::pump(session& to) {
    while (!to.queue().empty() && may_send(to, to.queue().front().level))
        send(to, to.queue().pop_front());
}

}  // namespace amqtt
