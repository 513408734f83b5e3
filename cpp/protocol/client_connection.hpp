// The client's side of one network connection. Neither socket nor clock.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/output_queue.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "codec/auth.hpp"
#include "codec/connect.hpp"
#include "codec/disconnect.hpp"
#include "codec/publish.hpp"
#include "codec/subscribe.hpp"
#include "codec/varint.hpp"
#include "protocol/gated_output.hpp"
#include "protocol/packet_output.hpp"
#include "protocol/packet_reader.hpp"
#include "protocol/packet_watcher.hpp"
#include "protocol/topic_aliases.hpp"
#include "session/client_state.hpp"

namespace amqtt {

// What the server did, in terms of what the caller has asked for. Views are valid until the next
// call of next() or receive().
struct client_need_input {};
struct client_connack {
    std::uint8_t return_code;  // of MQTT 3, or a Reason Code
    bool session_present;
    properties props;
};
// The flow of a publish is complete, or PINGRESP has come.
struct client_completed {
    std::uint64_t ticket;
    std::uint16_t packet_id;
    reason_code code = reason_code::success;
    properties props;
};
// SUBACK or UNSUBACK has come; that of MQTT 3 has no codes.
struct client_subscribed {
    std::uint64_t ticket;
    std::vector<reason_code> codes;
    properties props;
};
// A message that was to be sent again is more than this server accepts.
struct client_refused {
    std::uint64_t ticket;
    protocol_violation problem;
};

// auth_packet is to be answered by authenticate(); after disconnect_packet nothing comes.
using client_action = std::variant<client_need_input, client_connack, client_completed,
                                   client_subscribed, client_refused, publish_packet, auth_packet,
                                   disconnect_packet, protocol_violation>;

struct client_options {
    // PINGREQ after that long without sending; zero: none. A Server Keep Alive shifts it.
    duration ping_after{0};
    // The connection counts as lost when PINGRESP takes longer.
    duration ping_timeout = std::chrono::seconds(10);
    // acknowledge() is called for each message; else they are acknowledged as they come.
    bool manual_acknowledgement = false;
    // Messages of QoS 1 and 2 on their way at a time, if the server does not say less; and those
    // of QoS 2 among them.
    std::uint16_t send_maximum = 65'535;
    std::uint16_t qos2_maximum = 65'535;
};

// What the server has said in CONNACK that it bears (section 3.2.2.3).
struct server_limits {
    std::uint16_t receive_maximum = 65'535;
    std::uint32_t maximum_packet_size = largest_packet_size;
    qos maximum_qos = qos::exactly_once;
    bool retain_available = true;
};

class client_connection {
  public:
    // state and pool must outlive the connection.
    client_connection(client_state& state, block_pool& pool, client_options options) noexcept
        : state_(state), feed_(largest_packet_size), output_(pool), options_(options) {
        limits_.receive_maximum = options.send_maximum;
    }

    // Shows every packet to watcher, which must live as long; to be called before connect().
    void set_watcher(packet_watcher* watcher) noexcept { watcher_ = watcher; }

    // Sends CONNECT; to be called first. Its properties say what the server may send. False, and
    // nothing is sent: a field or the packet is longer than MQTT admits.
    [[nodiscard]] bool connect(const connect_packet& packet, instant now);

    // Sends a PUBLISH, when the Receive Maximum of the server and the options allow it. True when
    // that completes it (QoS 0); otherwise client_completed with the ticket follows. Violation when
    // no packet identifier is free (quota_exceeded), or the server has said that it does not accept
    // it.
    result<bool> publish(std::uint64_t ticket, const message_ptr& content, instant now);
    // Both return the packet identifier, which they set.
    result<std::uint16_t> subscribe(std::uint64_t ticket, subscribe_packet& packet, instant now);
    result<std::uint16_t> unsubscribe(std::uint64_t ticket, unsubscribe_packet& packet,
                                      instant now);
    void ping(std::uint64_t ticket, instant now);
    // Sends AUTH; false when the CONNECT had no Authentication Method, or it is too large.
    bool authenticate(const auth_packet& packet, instant now);
    // Sends DISCONNECT; its reason and properties are left out in MQTT 3.
    void disconnect(const disconnect_packet& packet = {});

    // Lets the server forget a message of QoS 1 or 2, with manual acknowledgement: PUBACK and
    // PUBREC leave in the order the messages came in.
    void acknowledge(std::uint16_t packet_id, reason_code code, instant now);

    // Nobody waits for a publish any more. Removed if it has not left; else its flow goes on, but
    // on this connection only.
    void abandon(std::uint64_t ticket);

    // Takes what was read; input must stay valid until next() says client_need_input.
    void receive(bytes_view input) noexcept { feed_.receive(input); }
    // What the server did next. Acknowledgements are sent here.
    client_action next(instant now);

    // Keeps the connection alive; false when the server has stopped answering. While the caller
    // does not read, answers cannot be missed.
    bool advance(instant now, bool reading = true);

    // Changes of the state up to that number are stored; true when something may leave now.
    bool stored(std::uint64_t number) { return output_.release(number); }

    // What may leave.
    output_queue& output() noexcept { return output_.ready(); }
    // What waits for the state to be stored included.
    std::size_t output_size() const noexcept { return output_.size(); }
    bool is_connected() const noexcept { return connected_; }
    protocol_version version() const noexcept { return version_; }
    // Tickets of pings that were not answered; 0 for those that keep the connection alive.
    const std::vector<std::uint64_t>& pings() const noexcept { return pings_; }

  private:
    struct pending_ack {
        std::uint16_t packet_id;
        packet_type type;
        bool ready;
        reason_code code;
    };

    std::optional<client_action> decode(const frame& packet, instant now);
    std::optional<client_action> decode_first(const frame& packet);
    std::optional<client_action> handle_connack(const frame& packet);
    std::optional<client_action> handle_publish(const frame& packet);
    std::optional<client_action> handle_ack(const frame& packet);
    std::optional<client_action> handle_pubrec(const ack_packet& received);
    std::optional<client_action> handle_suback(const frame& packet);
    std::optional<client_action> handle_pingresp(const frame& packet, instant now);
    std::optional<client_action> handle_auth(const frame& packet);
    std::optional<client_action> handle_disconnect(const frame& packet);
    const char* resolve_alias(publish_packet& packet);
    // Both tell whether the message is new, not one that the server has repeated.
    bool acknowledge_at_once(const publish_packet& received);
    bool note_unacknowledged(const publish_packet& received);
    void apply(const connack_packet& packet);
    void resume(bool session_present);
    // False when there is nothing to wait for.
    bool withdraw(inflight_entry& entry);
    client_action complete(inflight_entry& entry, ack_packet&& last);

    // What is wrong with a message for this server.
    std::optional<protocol_violation> check(const message& content) const noexcept;
    bool fits(const outgoing_publish& packet, std::size_t more) const noexcept;
    static bool is_qos2(const inflight_entry& entry) noexcept {
        return entry.state != inflight_state::awaiting_puback;
    }
    // Whether one more message may be on its way.
    bool has_room(const inflight_entry& entry) const noexcept {
        return unacknowledged_ < limits_.receive_maximum &&
               (!is_qos2(entry) || unacknowledged_qos2_ < options_.qos2_maximum);
    }
    void send_entry(inflight_entry& entry, bool dup);
    void send_waiting();
    void send_publish(const outgoing_publish& packet, const message_ptr& owner);
    void send_ack(packet_type type, std::uint16_t packet_id, reason_code code);
    void send_ready_acks();
    bool send_request(const std::vector<std::uint8_t>& packet, instant now);
    void send_pingreq(instant now);
    // Where to put a packet that must not leave before the state is stored, and any other.
    output_queue& behind_state(send_class what) {
        output_.hold_for(state_.awaited());
        return output_.place(what);
    }
    output_queue& beside_state(send_class what) {
        output_.hold_for(0);
        return output_.place(what);
    }
    void show_sent(bytes_view packet) {
        if (watcher_) watcher_->packet_sent(packet);
    }

    client_state& state_;
    packet_reader feed_;
    gated_output output_;
    client_options options_;
    packet_watcher* watcher_ = nullptr;
    protocol_version version_ = protocol_version::v3_1_1;
    server_limits limits_;
    sent_aliases sent_aliases_;
    received_aliases received_aliases_;
    std::string authentication_method_;
    std::uint16_t keep_alive_ = 0;
    std::uint16_t receive_maximum_ = 65'535;
    bool clean_start_ = true;
    bool connected_ = false;
    instant last_sent_{0};
    std::optional<instant> pinged_;  // when the oldest PINGREQ without PINGRESP was sent
    std::vector<std::uint64_t> pings_;
    std::size_t unacknowledged_ = 0;        // PUBLISHes that count for the server's Receive Maximum
    std::size_t unacknowledged_qos2_ = 0;   // those of QoS 2 among them
    std::deque<std::uint16_t> waiting_;     // packet identifiers of those that wait for has_room()
    std::deque<pending_ack> pending_acks_;  // with manual acknowledgement, in order of arrival
    std::vector<client_action> decided_;    // by resume(), the last first
};

}  // namespace amqtt
