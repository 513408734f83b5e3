// The server's side of one network connection: what the peer may send when, and how what the
// broker answers looks on the wire. Neither socket nor clock.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

#include "base/bytes.hpp"
#include "base/message.hpp"
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

namespace amqtt {

// No whole packet is left, and what there is of the next one was kept.
struct no_packet {
    // Or there may be: many PINGREQ came one behind the other and were answered, and others may
    // want to have a turn before next() is called again.
    bool input_is_left = false;
};

// What the peer did. A violation is the last event of a connection. Packets are views that
// stay valid until the next call of next() or receive().
using server_event =
    std::variant<no_packet, connect_packet, publish_packet, ack_packet, subscribe_packet,
                 unsubscribe_packet, disconnect_packet, auth_packet, protocol_violation>;

// What the peer has said in CONNECT about packets it is sent.
struct peer_limits {
    std::uint32_t maximum_packet_size = largest_packet_size;
    std::uint16_t topic_alias_maximum = 0;
    bool wants_problem_information = true;  // Request Problem Information
};

class server_connection {
  public:
    // The pool and what it belongs to must outlive the connection.
    // max_connect_size bounds CONNECT, and AUTH before the client is admitted.
    server_connection(std::size_t max_connect_size, block_pool& pool,
                      tolerances tolerated = {}) noexcept
        : feed_(max_connect_size), output_(pool), tolerated_(tolerated) {}

    // Takes what was read from the peer; input must stay valid until next() says no_packet, or
    // pause() is called.
    void receive(bytes_view input, instant now) noexcept {
        feed_.receive(input);
        last_read_ = now;
    }
    // What the peer did next. PINGREQ is answered here.
    server_event next();
    // The topic of the packet behind the one that next() will return, as far as that can be told by
    // now. For guesses: nothing was checked. Empty: it cannot.
    std::string_view second_topic() const noexcept;
    // Keeps the rest of the input for later, because next() is not to be called for now.
    void pause() { feed_.stash(); }

    // Rules for what the peer is sent, to be known before anything is sent.
    void set_peer_limits(const peer_limits& peer);
    // Rules for what the peer may send from now on.
    void set_own_limits(std::size_t max_packet_size, std::uint16_t topic_alias_maximum);

    // Whether an accepting CONNACK can be encoded and is within the peer's Maximum Packet Size.
    bool accepts_connack(const properties& props) const;
    // Accepts or refuses the CONNECT. A refusal in MQTT 3 without a fitting code sends nothing.
    // reason: a Reason String, left out when empty or when the packet would be too large with it,
    // here and in what follows.
    void send_connack(bool session_present, reason_code code, const properties& props = {},
                      std::string_view reason = {});
    // AUTH with the Authentication Method and Authentication Data in props, and nothing that could
    // be left out. False: too large for the peer.
    [[nodiscard]] bool send_auth(reason_code code, const properties& props);
    // Whether the packet is no larger than a packet can be and the peer accepts (5.0:
    // MQTT-3.1.2-24). more: bytes that are to have room besides.
    bool accepts(const outgoing_publish& packet, std::size_t more = 0) const noexcept {
        return publish_size_bound(packet) + more <= max_sent_size_ || is_small_enough(packet, more);
    }
    // Precondition: accepts(packet). owner as for append_publish().
    void send_publish(const outgoing_publish& packet, const message_ptr& owner);
    // reason: as above, for acknowledgements only when the peer wants to know.
    void send_ack(packet_type type, std::uint16_t packet_id, reason_code code,
                  std::string_view reason = {});
    // Of both, false: too large for the peer.
    [[nodiscard]] bool send_suback(std::uint16_t packet_id, std::span<const reason_code> codes,
                                   std::string_view reason = {});
    [[nodiscard]] bool send_unsuback(std::uint16_t packet_id, std::span<const reason_code> codes);
    // MQTT 5.0 only; in MQTT 3 the server has no DISCONNECT and nothing is sent. The Server
    // Reference is left out, too, when the packet would be too large with it.
    void send_disconnect(reason_code code, std::string_view reason = {},
                         std::string_view server_reference = {});

    output_queue& output() noexcept { return output_.ready(); }
    const output_queue& output() const noexcept { return output_.ready(); }
    // What may leave now or later; see gated_output.
    gated_output& gate() noexcept { return output_; }
    const gated_output& gate() const noexcept { return output_; }
    protocol_version version() const noexcept { return version_; }
    bool is_connected() const noexcept { return phase_ == phase::connected; }
    // A CONNECT has come, which may be wrong but for its version.
    bool version_is_known() const noexcept { return phase_ != phase::awaiting_connect; }
    std::size_t buffered_input() const noexcept { return feed_.buffered(); }
    // The memory that kept input takes.
    std::size_t input_footprint() const noexcept { return feed_.footprint(); }
    // Nothing more will be done with it; not while packets of it are in use.
    void drop_input() noexcept { feed_.clear(); }
    // What topic aliases take of memory.
    std::size_t alias_bytes() const noexcept {
        return received_aliases_.bytes() + sent_aliases_.bytes();
    }
    // At most this much of the output are answers to packets of the peer. To be called after
    // output was sent, which is when it falls.
    std::size_t unsent_answers() noexcept {
        answers_ = std::min(answers_, output_.size());
        return answers_;
    }

    // Shows every packet to a watcher, which must outlive the connection; null ends that.
    void watch(packet_watcher* watcher) noexcept { watcher_ = watcher; }
    packet_counts take_counts() noexcept { return std::exchange(counts_, {}); }

    // The peer was kept waiting until now, so its silence does not count.
    void restart_keep_alive(instant now) noexcept {
        last_received_ = last_read_ = now;
        restart_packet(now);
    }
    // The same for the packet that has begun only.
    void restart_packet(instant now) noexcept {
        packet_time_ = now;
        packet_before_ = feed_.buffered();
    }
    // A packet has begun to come, and next() waits for the rest.
    bool has_part_of_packet() const noexcept { return has_part_; }
    // When the rest has to be there. A packet that brings at least `enough` bytes in each limit may
    // take as many limits as it needs.
    instant packet_deadline(duration limit, std::size_t enough, instant now) noexcept {
        if (now >= packet_time_ + limit && feed_.buffered() - packet_before_ >= enough) {
            packet_time_ = now;
            packet_before_ = feed_.buffered();
        }
        return packet_time_ + limit;
    }
    // When the peer will have sent no whole packet for 1.5 times keep_alive and extra seconds
    // (3.1.1: MQTT-3.1.2-24).
    instant keep_alive_deadline(std::uint16_t keep_alive, std::uint32_t extra) const noexcept {
        return last_received_ + keep_alive_limit(keep_alive, extra);
    }
    static duration keep_alive_limit(std::uint16_t keep_alive, std::uint32_t extra) noexcept {
        return std::chrono::milliseconds(1500) * keep_alive + std::chrono::seconds(extra);
    }

  private:
    enum class phase : std::uint8_t { awaiting_connect, connecting, connected };

    // Counts as answers what is appended to the output while it lives.
    class answer_count {
      public:
        explicit answer_count(server_connection& c) noexcept : c_(c), before_(c.output_.size()) {}
        ~answer_count() { c_.answers_ += c_.output_.size() - before_; }
        answer_count(const answer_count&) = delete;
        answer_count& operator=(const answer_count&) = delete;

      private:
        server_connection& c_;
        std::size_t before_;
    };

    bool is_small_enough(const outgoing_publish& packet, std::size_t more) const noexcept;
    void note_part() noexcept;
    server_event decode(const frame& packet);
    server_event decode_first(const frame& packet);
    void note_limits_of(bytes_view refused_connect);
    server_event decode_with_alias(const frame& packet);
    [[nodiscard]] bool append(send_class what, const std::vector<std::uint8_t>& packet);
    template <class Packet>
    [[nodiscard]] bool append_with_reason(send_class what, Packet& packet, std::string_view reason);
    void count_sent(bytes_view packet);
    void show_publish(const outgoing_publish& packet);

    packet_reader feed_;
    gated_output output_;
    std::size_t answers_ = 0;        // bytes appended as such since the output was last shorter
    instant last_received_{0};       // a whole packet
    instant last_read_{0};           // anything
    instant packet_time_{0};         // since when more of the packet that has begun is waited for
    std::size_t packet_before_ = 0;  // bytes of it that had come by then
    std::uint32_t max_sent_size_ = largest_packet_size;
    tolerances tolerated_;
    protocol_version version_ = protocol_version::v3_1_1;
    phase phase_ = phase::awaiting_connect;
    bool peer_wants_problem_information_ = true;
    bool has_part_ = false;
    received_aliases received_aliases_;
    sent_aliases sent_aliases_;
    packet_counts counts_;
    packet_watcher* watcher_ = nullptr;
};

}  // namespace amqtt
