// The half of a client's connection that belongs to the broker, on the thread of the core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "broker/broker.hpp"
#include "net/reactor.hpp"

namespace amqtt {

class client_endpoint;
class listener;

// Is told about connections, on the thread of the core.
class connection_owner {
  public:
    // Its socket is closed. problem: what the peer did wrong below MQTT; empty: nothing.
    virtual void connection_closed(client_endpoint& which, const std::string& problem) = 0;
    // Plugins are to be asked for a pre-shared key; give_key() must follow, unless it is closed.
    virtual void key_wanted(client_endpoint& which, std::string_view identity) = 0;

  protected:
    ~connection_owner() = default;
};

// What all connections of a broker have in common; outlives them.
struct broker_context {
    broker& core;
    reactor& loop;  // of the core
    connection_owner& owner;
};

// Tells the broker what comes from the socket. What the broker wants of that, as a
// connection_control, is up to who knows where the socket is.
class client_endpoint : public connection_control {
  public:
    client_endpoint(const broker_context& home, listener& of, peer_info peer);
    client_endpoint(const client_endpoint&) = delete;
    client_endpoint& operator=(const client_endpoint&) = delete;
    ~client_endpoint() override = default;

    listener& came_through() const noexcept { return of_; }
    const peer_info& peer() const noexcept { return client_->peer; }

    // Nothing waits to be written to its peer.
    bool has_sent_all() const noexcept { return client_->connection.gate().size() == 0; }

    // The answer to connection_owner::key_wanted(). An empty key refuses the client.
    virtual void give_key(bytes_view key) = 0;
    // The number of that question, for the owner; 0: none.
    std::uint64_t key_question = 0;

  protected:
    void found_peer(std::string address, std::uint16_t port);
    void found_tls(std::shared_ptr<const tls_peer> tls) { client_->peer.tls = std::move(tls); }
    bool received(bytes_view input) {
        return home_.core.receive(*client_, input, home_.loop.now());
    }
    void has_caught_up() { home_.core.caught_up(*client_, home_.loop.now()); }
    void sent(std::size_t size) {
        if (!broker_knows_) home_.core.output_sent(*client_, size);
    }
    void wants_key(std::string_view identity) { home_.owner.key_wanted(*this, identity); }
    // Some of what was received was not looked at yet; the broker will read on then, or close.
    bool has_input_left() const noexcept { return client_->has_input_left(); }
    // The broker learns that the connection is over, or will be as soon as the peer was told.
    void ended();
    void closed(const std::string& problem);

    reactor& home_loop() const noexcept { return home_.loop; }
    gated_output& gate() noexcept { return client_->connection.gate(); }
    // All that is ready to be sent is looked at now.
    output_queue& ready_output() noexcept {
        client_->flush_requested = false;
        if (client_->has_failed) gate().ready().clear();
        return gate().ready();
    }

  private:
    const broker_context& home_;
    listener& of_;
    std::unique_ptr<client> client_;
    bool broker_knows_ = false;  // that it is over
};

}  // namespace amqtt
