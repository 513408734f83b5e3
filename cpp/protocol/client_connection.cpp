#include "protocol/client_connection.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace amqtt {
namespace {

outgoing_publish packet_of(const message& content) noexcept {
    outgoing_publish packet;
    packet.topic = content.topic();
    packet.payload = content.payload();
    packet.level = content.level();
    packet.retain = content.retain();
    packet.forwarded = content.properties();
    return packet;
}

}  // namespace

bool client_connection::connect(const connect_packet& packet, instant now) {
    version_ = packet.version;
    keep_alive_ = packet.keep_alive;
    clean_start_ = packet.clean_start;
    last_sent_ = now;
    if (has_properties(version_)) {
        const properties& own = packet.props;
        authentication_method_ = own.text(property_id::authentication_method);
        receive_maximum_ =
            static_cast<std::uint16_t>(own.integer(property_id::receive_maximum, 65'535));
        received_aliases_.set_maximum(
            static_cast<std::uint16_t>(own.integer(property_id::topic_alias_maximum, 0)));
        feed_.set_max_packet_size(
            own.integer(property_id::maximum_packet_size, largest_packet_size));
    }
    std::vector<std::uint8_t> out;
    if (!encode(packet, out)) return false;
    beside_state(send_class::control).append(out);
    show_sent(out);
    return true;
}

// -- publishing

std::optional<protocol_violation> client_connection::check(const message& content) const noexcept {
    if (content.level() > limits_.maximum_qos) {  // (5.0: MQTT-3.2.2-11)
        return protocol_violation{reason_code::qos_not_supported,
                                  "the server does not support this QoS"};
    }
    if (content.retain() && !limits_.retain_available) {  // (5.0: MQTT-3.2.2-14)
        return protocol_violation{reason_code::retain_not_supported,
                                  "the server does not support retained messages"};
    }
    if (!fits(packet_of(content), 0)) {  // (5.0: MQTT-3.2.2-15)
        const bool is_possible = publish_size(packet_of(content), version_) != 0;
        return protocol_violation{reason_code::packet_too_large,
                                  is_possible
                                      ? "the message exceeds the server's Maximum Packet Size"
                                      : "the message is too large for an MQTT packet"};
    }
    return std::nullopt;
}

bool client_connection::fits(const outgoing_publish& packet, std::size_t more) const noexcept {
    if (publish_size_bound(packet) + more <= limits_.maximum_packet_size) return true;
    const std::size_t size = publish_size(packet, version_);
    return size != 0 && size + more <= limits_.maximum_packet_size;
}

result<bool> client_connection::publish(std::uint64_t ticket, const message_ptr& content,
                                        instant now) {
    if (const auto problem = check(*content)) return *problem;
    if (content->level() == qos::at_most_once) {
        last_sent_ = now;
        send_publish(packet_of(*content), content);
        return true;
    }
    const std::uint16_t packet_id = state_.next_packet_id();
    if (packet_id == 0) {
        return protocol_violation{reason_code::quota_exceeded, "no free packet identifier"};
    }
    inflight_entry& entry = state_.add(ticket, packet_id, content);
    if (waiting_.empty() && has_room(entry)) {
        last_sent_ = now;
        send_entry(entry, false);
    } else {
        waiting_.push_back(packet_id);
    }
    return false;
}

// (5.0: MQTT-3.3.4-7)
void client_connection::send_entry(inflight_entry& entry, bool dup) {
    ++unacknowledged_;
    if (is_qos2(entry)) ++unacknowledged_qos2_;
    entry.sent = true;
    if (entry.state == inflight_state::awaiting_pubcomp) {
        send_ack(packet_type::pubrel, entry.packet_id, reason_code::success);
        return;
    }
    outgoing_publish packet = packet_of(*entry.content);
    packet.packet_id = entry.packet_id;
    packet.dup = dup;
    send_publish(packet, entry.content);
}

void client_connection::send_waiting() {
    while (!waiting_.empty()) {
        inflight_entry* entry = state_.inflight.find(waiting_.front());
        if (entry && !has_room(*entry)) return;
        waiting_.pop_front();
        // Those that come from an earlier connection have been sent there.
        if (entry) send_entry(*entry, std::exchange(entry->counts, false));
    }
}

void client_connection::send_publish(const outgoing_publish& packet, const message_ptr& owner) {
    // A Topic Alias that is new makes the packet longer: by itself and a longer Property Length.
    static constexpr std::size_t alias_size = 4;
    outgoing_publish aliased = packet;
    if (has_properties(version_) && fits(packet, alias_size)) {
        const sent_aliases::choice choice = sent_aliases_.choose(packet.topic);
        aliased.topic_alias = choice.alias;
        if (choice.known) aliased.topic = {};
    }
    output_queue& out = packet.level == qos::at_most_once ? beside_state(send_class::publish)
                                                          : behind_state(send_class::publish);
    if (!append_publish(out, version_, aliased, owner) || !watcher_) return;
    const publish_lengths lengths = lengths_of(aliased, version_);
    std::vector<std::uint8_t> encoded(lengths.header);
    write_publish_header(encoded.data(), aliased, version_, lengths);
    encoded.insert(encoded.end(), packet.payload.begin(), packet.payload.end());
    show_sent(encoded);
}

void client_connection::abandon(std::uint64_t ticket) {
    std::uint16_t packet_id = 0;
    state_.inflight.for_each([&](inflight_entry& entry) {
        if (entry.ticket != ticket) return;
        entry.ticket = 0;
        if (!entry.sent) packet_id = entry.packet_id;
    });
    if (packet_id == 0) return;
    std::erase(waiting_, packet_id);
    state_.remove(packet_id);
}

// -- acknowledging

void client_connection::send_ack(packet_type type, std::uint16_t packet_id, reason_code code) {
    std::uint8_t encoded[ack_size_max];
    const std::size_t size = write_ack(encoded, type, packet_id, code, version_);
    std::memcpy(behind_state(send_class::acknowledgement).allocate(size), encoded, size);
    show_sent({encoded, size});
}

void client_connection::acknowledge(std::uint16_t packet_id, reason_code code, instant now) {
    const auto it = std::ranges::find_if(pending_acks_, [&](const pending_ack& one) {
        return one.packet_id == packet_id && !one.ready;
    });
    if (it == pending_acks_.end()) return;
    it->ready = true;
    it->code = code;
    send_ready_acks();
    last_sent_ = now;
}

// (MQTT-4.6.0-2, -3)
void client_connection::send_ready_acks() {
    while (!pending_acks_.empty() && pending_acks_.front().ready) {
        const pending_ack ack = pending_acks_.front();
        pending_acks_.pop_front();
        if (ack.type == packet_type::pubrec && !is_failure(ack.code)) {
            state_.receive(ack.packet_id);
        }
        send_ack(ack.type, ack.packet_id, ack.code);
    }
}

// -- other requests

result<std::uint16_t> client_connection::subscribe(std::uint64_t ticket, subscribe_packet& packet,
                                                   instant now) {
    packet.packet_id = state_.next_packet_id();
    if (packet.packet_id == 0) {
        return protocol_violation{reason_code::quota_exceeded, "no free packet identifier"};
    }
    std::vector<std::uint8_t> out;
    if (!encode(packet, version_, out) || !send_request(out, now)) {
        return protocol_violation{reason_code::packet_too_large,
                                  "SUBSCRIBE exceeds the server's Maximum Packet Size"};
    }
    state_.requests.emplace(packet.packet_id, ticket);
    return packet.packet_id;
}

result<std::uint16_t> client_connection::unsubscribe(std::uint64_t ticket,
                                                     unsubscribe_packet& packet, instant now) {
    packet.packet_id = state_.next_packet_id();
    if (packet.packet_id == 0) {
        return protocol_violation{reason_code::quota_exceeded, "no free packet identifier"};
    }
    std::vector<std::uint8_t> out;
    if (!encode(packet, version_, out) || !send_request(out, now)) {
        return protocol_violation{reason_code::packet_too_large,
                                  "UNSUBSCRIBE exceeds the server's Maximum Packet Size"};
    }
    state_.requests.emplace(packet.packet_id, ticket);
    return packet.packet_id;
}

bool client_connection::send_request(const std::vector<std::uint8_t>& packet, instant now) {
    if (packet.size() > limits_.maximum_packet_size) return false;
    beside_state(send_class::control).append(packet);
    show_sent(packet);
    last_sent_ = now;
    return true;
}

bool client_connection::authenticate(const auth_packet& packet, instant now) {
    if (authentication_method_.empty()) return false;  // (5.0: MQTT-4.12.0-7)
    auth_packet complete = packet;
    // (5.0: MQTT-4.12.1-1)
    complete.props.add(property_id::authentication_method,
                       std::string_view(authentication_method_));
    std::vector<std::uint8_t> out;
    return encode(complete, version_, out) && send_request(out, now);
}

void client_connection::disconnect(const disconnect_packet& packet) {
    std::vector<std::uint8_t> out;
    const bool is_possible =
        encode(has_properties(version_) ? packet : disconnect_packet{}, version_, out);
    if (!is_possible || out.size() > limits_.maximum_packet_size) {  // (5.0: MQTT-3.14.2-3)
        out.clear();
        if (!encode(disconnect_packet{packet.code, {}}, version_, out) ||
            out.size() > limits_.maximum_packet_size) {
            return;
        }
    }
    beside_state(send_class::control).append(out);
    show_sent(out);
}

// -- time

void client_connection::ping(std::uint64_t ticket, instant now) {
    pings_.push_back(ticket);
    send_pingreq(now);
}

void client_connection::send_pingreq(instant now) {
    static constexpr std::uint8_t pingreq[] = {first_byte(packet_type::pingreq), 0};
    beside_state(send_class::control).append(pingreq);
    show_sent(pingreq);
    last_sent_ = now;
    if (!pinged_) pinged_ = now;
}

bool client_connection::advance(instant now, bool reading) {
    if (!connected_) return true;
    if (pinged_ && !reading) pinged_ = now;
    if (pinged_ && now - *pinged_ > options_.ping_timeout) return false;
    const bool is_due =
        options_.ping_after > duration{0} && now - last_sent_ >= options_.ping_after;
    // One at a time is enough, unless the answer cannot be seen.
    if (is_due && (!pinged_ || !reading)) ping(0, now);
    return true;
}

}  // namespace amqtt
