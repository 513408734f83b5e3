#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "base/timer_wheel.hpp"
#include "base/tls_peer.hpp"
#include "broker/back_pressure.hpp"
#include "broker/connect_request.hpp"
#include "broker/connection_control.hpp"
#include "broker/enhanced_authentication.hpp"
#include "broker/held_packet.hpp"
#include "broker/settings.hpp"
#include "broker/unfinished_packet.hpp"
#include "broker/work_line.hpp"
#include "protocol/server_connection.hpp"
#include "session/session.hpp"

namespace amqtt {

struct peer_info {
    std::string address;
    std::uint16_t port = 0;
    std::string_view listener;            // the name of the listener it came through, which has it
    std::shared_ptr<const tls_peer> tls;  // once its handshake is complete; nullptr without TLS
    // What that listener admits; outlives the connection. Null: broker_settings::limits.
    const connection_limits* limits = nullptr;
    // The application's number of a connection that it has handed in; 0: the listener's own.
    std::uint64_t external = 0;
};

enum class client_phase : std::uint8_t {
    connecting,      // CONNECT is to come
    deciding,        // the hooks are to say who may connect, or its predecessor is to catch up
    authenticating,  // AUTH is to come
    connected,
    closing,
};

// A network connection as the broker sees it. Made by broker::open(), owned by the transport,
// which tells the broker() before it destroys it.
struct client
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    client(connection_control& network_link, peer_info who, const broker_settings& settings,
           block_pool& pool)
        : network(&network_link),
          peer(std::move(who)),
          limits(peer.limits ? *peer.limits : settings.limits),
          connection(std::min(limits.max_connect_size, limits.max_packet_size), pool,
                     limits.tolerated) {}

    // Messages held back by the size of the output may go on.
    bool has_room(const broker_settings& settings) const noexcept {
        return is_little(connection.gate().size(), settings);
    }

    // Some of its input was received but not looked at, so that others have their turn.
    bool has_input_left() const noexcept { return in_line.is_linked(); }

    // The peer does not take the answers to its packets, so no more of those are looked at.
    bool is_behind_with_answers(const broker_settings& settings) noexcept {
        return !is_little(connection.unsent_answers(), settings);
    }

    // What its packets make it grow by. While connected.
    std::size_t state_bytes() const noexcept {
        return connection.alias_bytes() + state->received_qos2().bytes();
    }

    // As output of one connection; when all together have much, each may have little.
    bool is_little(std::size_t bytes, const broker_settings& settings) const noexcept {
        const std::size_t mark = settings.output_high_water;
        return bytes < mark / 16 ||
               (bytes < mark && connection.output().pool().in_use() <= settings.output_bytes);
    }

    connection_control* network;
    peer_info peer;
    const connection_limits& limits;
    server_connection connection;
    session* state = nullptr;  // while connected
    std::optional<connect_request> request;
    std::uint64_t ticket = 0;  // of the question whether it may connect; 0: not asked yet
    // The connection of its session, whose last packets are to be looked at before it comes in.
    client* predecessor = nullptr;
    std::unique_ptr<held_packet> held;
    std::unique_ptr<unfinished_packet> unfinished;  // it is in line then, or held
    std::unique_ptr<packet_watcher> watcher;
    std::unique_ptr<authentication_exchange> exchange;  // while one is running
    std::unique_ptr<back_pressure> pressure;            // on those who publish to it
    client* slowed_by = nullptr;  // whose pressure it feels, so it is not read from
    place_in_line in_line{place_in_line::kind::client, this};
    timer idle;  // connect time-out, decision deadline, keep alive
    // What is kept of its input, as input_ledger knows it.
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>
        among_kept;
    std::size_t kept_input = 0;
    // Closed when the store has committed that batch; 0: not waiting for any.
    std::uint64_t close_after = 0;
    // QoS 2 messages that may be in flight from it, those of earlier connections included.
    std::uint32_t receive_quota = UINT16_MAX;
    client_phase phase = client_phase::connecting;
    reason_code close_reason = reason_code::success;
    std::size_t counted_state = 0;  // the state_bytes() that the session was counted with
    bool flush_requested = false;   // set by the broker, reset by the transport
    bool held_up = false;           // input waits until answers were sent
    bool throttled = false;         // observers do not keep up, so it is not read from
    bool kept_as_admitted = false;  // where input_ledger counts it
    bool is_processing = false;     // packets of its input are in use
    bool has_failed = false;        // to be ended soon, without what its output holds
};

}  // namespace amqtt
