#include "broker/outbox.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace amqtt {
namespace {

// Longer ones are not searched for messages that have expired each time there is no room.
constexpr std::size_t short_queue = 1024;

// What is searched for them before others have their turn.
constexpr std::size_t sessions_in_a_turn = 1024;
constexpr std::size_t messages_in_a_turn = 8192;

}  // namespace

void outbox::request_flush(client& c) {
    if (c.flush_requested) return;
    c.network->flush_soon();
    c.flush_requested = true;
}

std::size_t outbox::window_of(const session& to) const noexcept {
    return std::min<std::size_t>(settings_.max_inflight_messages,
                                 to.connection->request->receive_maximum);
}

bool outbox::may_send(session& to, qos level) const noexcept {
    if (!to.connection || to.resend_pending || !to.connection->has_room(settings_)) return false;
    // What is in flight may hold as many bytes as what is queued; one message always fits.
    return level == qos::at_most_once ||
           (to.quota_used < window_of(to) &&
            to.inflight().size() < settings_.max_inflight_messages &&
            (to.inflight().empty() || to.inflight().bytes() < settings_.queue.bytes));
}

// -- new messages

delivery_result outbox::deliver(const route& to, publication& p, const share_name& share) {
    const bool retain = to.retain_as_published && p.retain();
    return deliver_to(*to.subscriber, p, to.granted,
                      {p.level_for(to.granted), retain, to.ids, share});
}

delivery_result outbox::deliver_to(session& to, publication& p, qos granted, const options& how) {
    if (!to.queue().empty() || !may_send(to, how.level)) {
        // Before it is stored only to be dropped: one who does not read is not to cost the others.
        if (const auto why = refusal(to, p.size(), granted)) return *why;
        return enqueue(to, {p.share(), how.level, how.retain, how.ids, how.share});
    }
    if (how.level != qos::at_most_once) {
        if (!backlog_.has_room(to.inflight().bytes(), message::footprint_of(p.size()))) {
            drops_.count(drop_reason::queue_full, to);
            return delivery_result::dropped;
        }
        return send(to, {p.share(), how.level, how.retain, how.ids, how.share});
    }
    outgoing_publish packet;
    packet.topic = p.topic();
    packet.payload = p.payload();
    packet.retain = how.retain;
    packet.forwarded = p.forwarded();
    packet.expiry_interval = p.expiry_interval();
    packet.subscription_ids = view_of(how.ids);
    message_ptr owner;
    if (p.payload().size() > copied_payload_max && !p.is_for_one()) {
        owner = p.share();
        packet.payload = owner->payload();
    }
    if (how.ids) budget_.spend(how.ids->size() / step_cost::copied_identifiers);
    if (!to.connection->connection.accepts(packet)) {
        drops_.count(drop_reason::too_large, to);
        return delivery_result::dropped;
    }
    to.connection->connection.send_publish(packet, owner);
    ++stats_.publish_sent;
    request_flush(*to.connection);
    return delivery_result::sent;
}

std::optional<delivery_result> outbox::refusal(session& to, std::size_t size, qos granted) {
    const bool waits =
        to.connection || (granted != qos::at_most_once && !to.ends_with_connection());
    if (!waits) return delivery_result::not_wanted;
    if (makes_room(to, size)) return std::nullopt;
    drops_.count(drop_reason::queue_full, to);
    return delivery_result::dropped;
}

bool outbox::makes_room(session& to, std::size_t size) {
    message_queue& queue = to.queue();
    if (queue.has_room(size)) return true;
    // A long queue is left to expire_some(), which comes soon: this is for each message.
    if (queue.next_expiry() > now_ || queue.size() > short_queue) return false;
    expire(to);
    return queue.has_room(size);
}

delivery_result outbox::enqueue(session& to, queued_message m) {
    to.queue().push_unbounded(std::move(m));
    if (journal_) record_queued(to);
    watch_expiry(to);
    return delivery_result::queued;
}

bool outbox::push(session& to, queued_message m) {
    if (!makes_room(to, m.content->size())) {
        drops_.count(drop_reason::queue_full, to);
        return false;
    }
    enqueue(to, std::move(m));
    return true;
}

void outbox::adopt(session& to, queued_message m) {
    to.queue().push_unbounded(std::move(m));
    watch_expiry(to);
}

// To be called for the message that was queued last.
void outbox::watch_expiry(session& to) {
    if (to.queue().back().content->expires_at() && !to.expiring.is_linked()) {
        expiring_.push_back(to);
    }
}

// -- messages whose time is over

void outbox::expire(session& to) {
    to.queue().expire(now_, [this](const queued_message& m) { dropped(m); });
    to.unchecked = std::min(to.unchecked, to.queue().size());
}

void outbox::expire_some() {
    std::size_t messages = 0;
    for (std::size_t n = 0; n < sessions_in_a_turn && messages < messages_in_a_turn; ++n) {
        if (expiring_.empty()) return;
        session& next = expiring_.front();
        expiring_.pop_front();
        if (next.queue().next_expiry() <= now_) {
            messages += next.queue().size();
            expire(next);
        }
        if (next.queue().next_expiry() != instant::max()) expiring_.push_back(next);
    }
}

void outbox::record_queued(session& to) {
    queued_message& m = to.queue().back();
    delivery_row row;
    row.level = m.level;
    row.retain = m.retain;
    row.identifiers = m.ids;
    row.share = m.share;
    m.record = journal_->delivery_added(to, m.content, row);
}

void outbox::dropped(const queued_message& m) {
    if (journal_) journal_->delivery_removed(m.record, m.content.get());
}

void outbox::record_sent(session& to, inflight_entry& entry, std::uint64_t queued_as, qos level) {
    const auto state = level == qos::exactly_once ? delivery_state::awaiting_pubrec
                                                  : delivery_state::awaiting_puback;
    entry.ticket = queued_as;
    if (queued_as != 0) {
        journal_->delivery_changed(queued_as, entry.packet_id, state);
        return;
    }
    delivery_row row;
    row.level = level;
    row.retain = entry.retain;
    row.identifiers = entry.ids;
    row.share = entry.share;
    row.packet_id = entry.packet_id;
    row.state = state;
    entry.ticket = journal_->delivery_added(to, entry.content, row);
}

void outbox::deliver_retained(const route& to, message_ptr m) {
    session& s = *to.subscriber;
    const qos level = lower_of(m->level(), to.granted);
    queued_message queued{std::move(m), level, true, to.ids, nullptr};
    if (s.queue().empty() && may_send(s, level)) {
        send(s, std::move(queued));
    } else {
        enqueue(s, std::move(queued));
    }
}

delivery_result outbox::redeliver(const subscription& member, queued_message m) {
    if (m.content->is_expired(now_)) return delivery_result::not_wanted;
    session& s = *member.subscriber;
    m.record = 0;
    m.level = lower_of(m.content->level(), member.options.level);
    m.retain = member.options.retain_as_published && m.content->retain();
    m.ids = route_of(member).ids;
    if (!s.queue().empty() || !may_send(s, m.level)) {
        const auto why = refusal(s, m.content->size(), member.options.level);
        return why ? *why : enqueue(s, std::move(m));
    }
    return send(s, std::move(m));
}

// -- sending what is stored

std::optional<std::uint32_t> outbox::seconds_left(const message& m) const noexcept {
    if (!m.expires_at()) return std::nullopt;
    const auto left = std::chrono::ceil<std::chrono::seconds>(*m.expires_at() - now_).count();
    return static_cast<std::uint32_t>(std::max<std::int64_t>(left, 0));
}

outgoing_publish outbox::packet_of(const message& m, qos level, bool retain,
                                   const subscription_ids& ids) const noexcept {
    outgoing_publish packet;
    packet.topic = m.topic();
    packet.payload = m.payload();
    packet.level = level;
    packet.retain = retain;
    packet.forwarded = m.properties();
    packet.expiry_interval = seconds_left(m);
    packet.subscription_ids = view_of(ids);
    return packet;
}

delivery_result outbox::send(session& to, queued_message&& m) {
    client& c = *to.connection;
    outgoing_publish packet = packet_of(*m.content, m.level, m.retain, m.ids);
    if (!c.connection.accepts(packet)) {
        drops_.count(drop_reason::too_large, to);
        dropped(m);
        return delivery_result::dropped;
    }
    if (m.level == qos::at_most_once) {
        c.connection.send_publish(packet, m.content);
    } else {
        // may_send() has kept the window far below the number of identifiers.
        const std::uint16_t packet_id = to.inflight().next_packet_id();
        auto& entry = to.inflight().add(packet_id, m.level, std::move(m.content), m.retain);
        // From here on it is in flight, whatever happens.
        entry.ids = std::move(m.ids);
        entry.share = std::move(m.share);
        ++to.quota_used;
        try {
            if (journal_) record_sent(to, entry, m.record, m.level);
            send_in_flight(c, entry, packet);
        } catch (...) {  // it is sent again, in its order, when the client is back
            --to.quota_used;
            entry.sent = entry.counts = false;
            to.resend_pending = true;
            throw;
        }
    }
    ++stats_.publish_sent;
    request_flush(c);
    return delivery_result::sent;
}

void outbox::send_in_flight(client& c, inflight_entry& entry, outgoing_publish& packet) {
    entry.sent = true;
    entry.counts = true;
    packet.packet_id = entry.packet_id;
    // Were a QoS 2 message sent before it is stored under its identifier, a crash could make the
    // broker send it again under another.
    const commit_gate until(journal_, c, packet.level == qos::exactly_once);
    c.connection.send_publish(packet, entry.content);
    request_flush(c);
}

bool outbox::resume(session& to) {
    client& c = *to.connection;
    to.quota_used = 0;
    to.resend_pending = true;
    to.inflight().for_each([&](inflight_entry& entry) {
        entry.counts = false;
        entry.sent = entry.state == inflight_state::awaiting_pubcomp;
        if (!entry.sent) return;
        const commit_gate until(journal_, c);
        c.connection.send_ack(packet_type::pubrel, entry.packet_id, reason_code::success);
        request_flush(c);
    });
    return pump(to);
}

// Sends again, in the first order, what the present connection has not seen yet, as far as its
// Receive Maximum and its output admit: a peer that reconnects without reading costs no more.
void outbox::resend(session& to) {
    client& c = *to.connection;
    const std::size_t window = window_of(to);
    bool all_sent = true;
    std::vector<std::uint16_t> not_for_peer;
    to.inflight().for_each([&](inflight_entry& entry) {
        if (entry.sent) return;
        const qos level =
            entry.state == inflight_state::awaiting_pubrec ? qos::exactly_once : qos::at_least_once;
        outgoing_publish packet = packet_of(*entry.content, level, entry.retain, entry.ids);
        packet.dup = true;
        if (!c.connection.accepts(packet)) {
            not_for_peer.push_back(entry.packet_id);
        } else if (to.quota_used < window && c.has_room(settings_)) {
            ++to.quota_used;
            send_in_flight(c, entry, packet);
        } else {
            all_sent = false;
        }
    });
    for (const std::uint16_t packet_id : not_for_peer) {
        drops_.count(drop_reason::too_large, to);
        abandon(to, *to.inflight().find(packet_id));
    }
    to.resend_pending = !all_sent;
}

void outbox::finish(session& to, inflight_entry& entry) {
    if (entry.counts) --to.quota_used;
    abandon(to, entry);
}

void outbox::abandon(session& to, inflight_entry& entry) {
    if (journal_) journal_->delivery_removed(entry.ticket, entry.content.get());
    to.inflight().remove(entry);
}

bool outbox::send_waiting(session& to) {
    if (to.resend_pending) resend(to);
    // What was sent before comes first.
    while (!to.resend_pending && !to.queue().empty() && may_send(to, to.queue().front().level)) {
        if (budget_.is_spent()) return false;
        verdict made = verdict::allow;
        if (to.unchecked != 0) {
            made = guard_.check_waiting(to, to.queue().front().content);
            if (made == verdict::pending) return true;
            --to.unchecked;
        }
        budget_.spend(step_cost::of_delivery(to.queue().front().content->size()));
        queued_message next = to.queue().pop_front();
        if (made == verdict::deny || next.content->is_expired(now_)) {
            dropped(next);
            continue;
        }
        try {
            send(to, std::move(next));
        } catch (...) {
            if (next.content) to.queue().put_back(std::move(next));
            throw;
        }
    }
    return true;
}

}  // namespace amqtt
