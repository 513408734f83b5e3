#include "protocol/client_connection.hpp"

namespace amqtt {

void client_connection::connect(const connect_packet& packet, instant now) {
    version_ = packet.version;
    last_sent_ = now;
    std::vector<std::uint8_t> out;
    encode(packet, out);
    output_.append(out);
}

result<bool> client_connection::publish(std::uint64_t ticket, const message_ptr& content,
                                        instant now) {
    outgoing_publish d;
    d.topic = content->topic();
    d.payload = content->payload();
    d.level = content->level();
    d.retain = content->retain();
    if (content->level() != qos::at_most_once) {
        d.packet_id = state_.next_packet_id();
        if (d.packet_id == 0) return protocol_error("no free packet identifier");
        state_.inflight.add(d.packet_id, d.level, content, d.retain).ticket = ticket;
    }
    last_sent_ = now;
    append_publish(output_, version_, d, content);
    return d.level == qos::at_most_once;
}

result<std::uint16_t> client_connection::subscribe(
    std::uint64_t ticket, std::span<const std::pair<std::string, qos>> filters, instant now) {
    subscribe_packet packet;
    packet.packet_id = state_.next_packet_id();
    if (packet.packet_id == 0) return protocol_error("no free packet identifier");
    for (const auto& [filter, level] : filters) {
        subscription_options options;
        options.level = level;
        packet.requests.push_back({filter, options});
    }
    std::vector<std::uint8_t> out;
    encode(packet, version_, out);
    send_request(out, packet.packet_id, ticket, now);
    return packet.packet_id;
}

result<std::uint16_t> client_connection::unsubscribe(std::uint64_t ticket,
                                                     std::span<const std::string> filters,
                                                     instant now) {
    unsubscribe_packet packet;
    packet.packet_id = state_.next_packet_id();
    if (packet.packet_id == 0) return protocol_error("no free packet identifier");
    packet.filters.assign(filters.begin(), filters.end());
    std::vector<std::uint8_t> out;
    encode(packet, version_, out);
    send_request(out, packet.packet_id, ticket, now);
    return packet.packet_id;
}

void client_connection::send_request(const std::vector<std::uint8_t>& packet,
                                     std::uint16_t packet_id, std::uint64_t ticket, instant now) {
    state_.requests.emplace(packet_id, ticket);
    output_.append(packet);
    last_sent_ = now;
}

void client_connection::ping(std::uint64_t ticket, instant now) {
    pings_.push_back(ticket);
    send_pingreq(now);
}

void client_connection::send_pingreq(instant now) {
    static constexpr std::uint8_t pingreq[] = {first_byte(packet_type::pingreq), 0};
    output_.append(pingreq);
    last_sent_ = now;
    if (!pinged_) pinged_ = now;
}

void client_connection::disconnect() {
    static constexpr std::uint8_t disconnect[] = {first_byte(packet_type::disconnect), 0};
    output_.append(disconnect);
}

bool client_connection::advance(instant now) {
    if (!connected_) return true;
    if (pinged_ && now - *pinged_ > timing_.ping_timeout) return false;
    if (timing_.ping_after > duration{0} && now - last_sent_ >= timing_.ping_after) {
        // Only while no other is on its way can it be told apart from those somebody awaits.
        if (!pinged_) {
            ++own_pings_;
            send_pingreq(now);
        }
    }
    return true;
}

client_action client_connection::next(instant now) {
    if (!completed_.empty()) {
        const std::uint64_t ticket = completed_.back();
        completed_.pop_back();
        return client_completed{ticket, 0};
    }
    while (true) {
        auto found = feed_.next();
        if (!found) return found.error();
        if (!*found) {
            feed_.stash();
            return client_need_input{};
        }
        last_sent_ = output_.empty() ? last_sent_ : now;
        if (auto action = decode(**found)) return std::move(*action);
    }
}

std::optional<client_action> client_connection::decode(const frame& packet) {
    const bool flags_matter = packet.type != packet_type::publish;
    if (flags_matter && packet.flags != required_flags(packet.type)) {
        return malformed("reserved flags of the fixed header");
    }
    if (!connected_) return handle_connack(packet);
    switch (packet.type) {
        case packet_type::publish:
            return handle_publish(packet);
        case packet_type::puback:
        case packet_type::pubrec:
        case packet_type::pubrel:
        case packet_type::pubcomp:
            return handle_ack(packet);
        case packet_type::suback:
        case packet_type::unsuback:
            return handle_suback(packet);
        case packet_type::pingresp:
            return handle_pingresp(packet);
        default:
            return protocol_error("packet type a server must not send");
    }
}

std::optional<client_action> client_connection::handle_connack(const frame& packet) {
    if (packet.type != packet_type::connack) return protocol_error("first packet is not CONNACK");
    auto decoded = decode_connack(packet.body, version_);
    if (!decoded) return decoded.error();
    if (!is_failure(decoded->code)) {
        connected_ = true;
        resume(decoded->session_present);
    }
    return client_connack{decoded->v3_code, decoded->session_present};
}

// With a session of the server, what is unacknowledged is sent again as it was. Without, the
// messages that the server never confirmed are sent as new ones; those it had confirmed with
// PUBREC were its own and are done.
void client_connection::resume(bool session_present) {
    state_.requests.clear();
    if (!session_present) state_.received_qos2.clear();
    std::vector<std::uint16_t> done;
    state_.inflight.for_each([&](const inflight_entry& entry) {
        if (entry.state == inflight_state::awaiting_pubcomp) {
            if (session_present) {
                append_ack(output_, version_, packet_type::pubrel, entry.packet_id,
                           reason_code::success);
            } else {
                done.push_back(entry.packet_id);
            }
            return;
        }
        outgoing_publish again;
        again.topic = entry.content->topic();
        again.payload = entry.content->payload();
        again.level = entry.content->level();
        again.retain = entry.retain;
        again.dup = session_present;
        again.packet_id = entry.packet_id;
        append_publish(output_, version_, again, entry.content);
    });
    for (const std::uint16_t packet_id : done) {
        completed_.push_back(state_.inflight.find(packet_id)->ticket);
        state_.inflight.remove(packet_id);
    }
}

std::optional<client_action> client_connection::handle_publish(const frame& packet) {
    auto decoded = decode_publish(packet.flags, packet.body, version_);
    if (!decoded) return decoded.error();
    const publish_packet& received = *decoded;
    if (received.level == qos::at_least_once) {
        append_ack(output_, version_, packet_type::puback, received.packet_id,
                   reason_code::success);
    } else if (received.level == qos::exactly_once) {
        const bool repeated = !state_.received_qos2.insert(received.packet_id).second;
        append_ack(output_, version_, packet_type::pubrec, received.packet_id,
                   reason_code::success);
        if (repeated) return std::nullopt;
    }
    return std::move(*decoded);
}

std::optional<client_action> client_connection::handle_ack(const frame& packet) {
    const auto decoded = decode_ack(packet.type, packet.body, version_);
    if (!decoded) return decoded.error();
    const std::uint16_t packet_id = decoded->packet_id;
    if (packet.type == packet_type::pubrel) {
        state_.received_qos2.erase(packet_id);
        append_ack(output_, version_, packet_type::pubcomp, packet_id, reason_code::success);
        return std::nullopt;
    }
    inflight_entry* entry = state_.inflight.find(packet_id);
    if (packet.type == packet_type::pubrec) {
        if (entry && entry->state == inflight_state::awaiting_puback) return std::nullopt;
        if (entry) {
            state_.inflight.release_content(*entry);
            entry->state = inflight_state::awaiting_pubcomp;
        }
        append_ack(output_, version_, packet_type::pubrel, packet_id, reason_code::success);
        return std::nullopt;
    }
    const inflight_state expected = packet.type == packet_type::puback
                                        ? inflight_state::awaiting_puback
                                        : inflight_state::awaiting_pubcomp;
    if (!entry || entry->state != expected) return std::nullopt;
    const client_completed done{entry->ticket, packet_id};
    state_.inflight.remove(packet_id);
    return done;
}

std::optional<client_action> client_connection::handle_suback(const frame& packet) {
    const bool is_suback = packet.type == packet_type::suback;
    auto decoded =
        is_suback ? decode_suback(packet.body, version_) : decode_unsuback(packet.body, version_);
    if (!decoded) return decoded.error();
    const auto it = state_.requests.find(decoded->packet_id);
    if (it == state_.requests.end()) return std::nullopt;
    const std::uint64_t ticket = it->second;
    state_.requests.erase(it);
    if (!is_suback) return client_completed{ticket, decoded->packet_id};
    client_subscribed answer{ticket, {}};
    for (const reason_code code : decoded->codes)
        answer.codes.push_back(to_byte(code));
    return answer;
}

std::optional<client_action> client_connection::handle_pingresp(const frame& packet) {
    if (!packet.body.empty()) return malformed("PINGRESP with a body");
    pinged_.reset();
    if (own_pings_ > 0) {
        --own_pings_;
        return std::nullopt;
    }
    if (pings_.empty()) return std::nullopt;
    const std::uint64_t ticket = pings_.front();
    pings_.erase(pings_.begin());
    return client_completed{ticket, 0};
}

}  // namespace amqtt
