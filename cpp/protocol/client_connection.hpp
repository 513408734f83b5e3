// The client's side of one network connection. Neither socket nor clock.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/output_queue.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "codec/connect.hpp"
#include "codec/publish.hpp"
#include "codec/subscribe.hpp"
#include "protocol/packet_feed.hpp"
#include "protocol/packet_output.hpp"
#include "session/client_state.hpp"

namespace amqtt {

// What the server did, in terms of what the caller has asked for.
struct client_need_input {};
struct client_connack {
    std::uint8_t return_code;
    bool session_present;
};
// The flow of a publish is complete, or UNSUBACK or PINGRESP has come.
struct client_completed {
    std::uint64_t ticket;
    std::uint16_t packet_id;
};
struct client_subscribed {
    std::uint64_t ticket;
    std::vector<std::uint8_t> codes;
};

using client_action = std::variant<client_need_input, client_connack, client_completed,
                                   client_subscribed, publish_packet, protocol_violation>;

struct client_timing {
    // PINGREQ after that long without sending; zero: none.
    duration ping_after{0};
    // The connection counts as lost when PINGRESP takes longer.
    duration ping_timeout = std::chrono::seconds(10);
};

class client_connection {
  public:
    // state and pool must outlive the connection.
    client_connection(client_state& state, block_pool& pool, client_timing timing) noexcept
        : state_(state), feed_(max_packet_size), output_(pool), timing_(timing) {}

    // Sends CONNECT; to be called first.
    void connect(const connect_packet& packet, instant now);

    // Sends a PUBLISH. True when that completes it (QoS 0); otherwise client_completed with the
    // ticket follows. Violation when no packet identifier is free.
    result<bool> publish(std::uint64_t ticket, const message_ptr& content, instant now);
    result<std::uint16_t> subscribe(std::uint64_t ticket,
                                    std::span<const std::pair<std::string, qos>> filters,
                                    instant now);
    result<std::uint16_t> unsubscribe(std::uint64_t ticket, std::span<const std::string> filters,
                                      instant now);
    void ping(std::uint64_t ticket, instant now);
    void disconnect();

    // Takes what was read; input must stay valid until next() says client_need_input.
    void receive(bytes_view input) noexcept { feed_.receive(input); }
    // What the server did next. Acknowledgements are sent here.
    client_action next(instant now);

    // Keeps the connection alive; false when the server has stopped answering.
    bool advance(instant now);

    output_queue& output() noexcept { return output_; }
    bool is_connected() const noexcept { return connected_; }
    // Tickets of pings that were not answered.
    const std::vector<std::uint64_t>& pings() const noexcept { return pings_; }

  private:
    static constexpr std::size_t max_packet_size = 268'435'460;

    std::optional<client_action> decode(const frame& packet);
    std::optional<client_action> handle_connack(const frame& packet);
    std::optional<client_action> handle_publish(const frame& packet);
    std::optional<client_action> handle_ack(const frame& packet);
    std::optional<client_action> handle_suback(const frame& packet);
    std::optional<client_action> handle_pingresp(const frame& packet);
    void resume(bool session_present);
    void send_request(const std::vector<std::uint8_t>& packet, std::uint16_t packet_id,
                      std::uint64_t ticket, instant now);
    void send_pingreq(instant now);

    client_state& state_;
    packet_feed feed_;
    output_queue output_;
    client_timing timing_;
    protocol_version version_ = protocol_version::v3_1_1;
    bool connected_ = false;
    instant last_sent_{0};
    std::optional<instant> pinged_;  // when the oldest PINGREQ without PINGRESP was sent
    std::size_t own_pings_ = 0;      // PINGREQs nobody waits for, all sent before pings_
    std::vector<std::uint64_t> pings_;
    std::vector<std::uint64_t> completed_;  // flows that a lost session has completed
};

}  // namespace amqtt
