// A connection whose socket and client are on one thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <boost/unordered/unordered_flat_set.hpp>

#include "server/client_endpoint.hpp"
#include "server/connection_host.hpp"
#include "server/socket_endpoint.hpp"

namespace amqtt {

class core_host;

// Both halves, which call each other.
class local_connection final : public socket_endpoint, public client_endpoint {
  public:
    local_connection(core_host& host, const broker_context& home, listener& of,
                     std::unique_ptr<stream> peer_stream, peer_info peer, bool behind_proxy);

    void flush_soon() override { flush_output(); }
    void close_soon(reason_code reason) override;
    void resume_reading() override;
    bool catch_up() override;
    void give_key(bytes_view key) override { socket_endpoint::give_key(key); }

  private:
    std::span<std::uint8_t> input_buffer() override { return loop().read_buffer(); }
    bool input_read(bytes_view input) override { return received(input); }
    void all_read() override;
    output_queue& output() override { return ready_output(); }
    void output_written(std::size_t size) override { sent(size); }
    void peer_found(std::string address, std::uint16_t port) override {
        found_peer(std::move(address), port);
    }
    void handshake_done(std::shared_ptr<const tls_peer> tls) override { found_tls(std::move(tls)); }
    void key_wanted(std::string_view identity) override { wants_key(identity); }
    void peer_ended() override { ended(); }
    void peer_left() override { close(); }
    void socket_closed(const std::string& problem) override;
    // The socket was closed before all input was dealt with; now it is, or is not wanted.
    void close_at_last();

    core_host& host_;
    // Why the socket was closed, while the broker is not to be told.
    std::unique_ptr<std::string> closed_for_;
};

// The thread of the core as the one that serves connections.
class core_host final : public connection_host {
  public:
    explicit core_host(const broker_context& home) : home_(home) {}

    reactor& loop() noexcept override { return home_.loop; }
    void serve(listener& of, std::unique_ptr<stream> peer_stream, peer_info peer,
               bool behind_proxy) override;
    std::size_t size() const noexcept override { return connections_.size(); }
    lane_counts exchanged() const override { return {}; }
    void collect() override {}
    bool is_all_sent() const noexcept override;
    void stop() override;
    void end() override {}
    void start_thread() override {}
    void join_thread() override {}
    void abandon_thread() override {}

    void forget(const std::shared_ptr<local_connection>& closed) { connections_.erase(closed); }

  private:
    const broker_context& home_;
    boost::unordered_flat_set<std::shared_ptr<local_connection>> connections_;
};

}  // namespace amqtt
