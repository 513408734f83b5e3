// A thread with sockets of clients.
#pragma once

#include <cstddef>
#include <memory>

#include "broker/client.hpp"
#include "net/reactor.hpp"
#include "net/stream.hpp"
#include "server/batch_channel.hpp"

namespace amqtt {

class listener;

// Serves connections of the broker on one thread, that of the core or another. Belongs to the
// thread of the core.
class connection_host {
  public:
    virtual ~connection_host() = default;

    // What the sockets must belong to.
    virtual reactor& loop() noexcept = 0;
    // Serves a connection until it is closed. Until a proxy's header has come the peer is the
    // proxy.
    virtual void serve(listener& of, std::unique_ptr<stream> peer_stream, peer_info peer,
                       bool behind_proxy) = 0;
    // How many it serves.
    virtual std::size_t size() const noexcept = 0;
    // Batches in either direction.
    virtual lane_counts exchanged() const = 0;
    // Takes what the thread has to tell and is in no hurry to.
    virtual void collect() = 0;
    // Nothing waits to be written to any of its connections.
    virtual bool is_all_sent() const noexcept = 0;
    // Sends what goes out at once, closes all connections, and ends the thread if it is not that
    // of the core. Nothing is served any more.
    virtual void stop() = 0;

    // After join_thread(): lets the thread of the core end.
    virtual void end() = 0;

    // -- for the thread that owns the engine

    virtual void start_thread() = 0;
    // After stop().
    virtual void join_thread() = 0;
    // Ends the thread when that of the core does not run.
    virtual void abandon_thread() = 0;
};

}  // namespace amqtt
