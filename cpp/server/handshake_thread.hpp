// A thread that makes handshakes of TLS.
#pragma once

#include <functional>
#include <memory>

#include <boost/unordered/unordered_flat_set.hpp>

#include "net/reactor.hpp"
#include "tls/tls_stream.hpp"

namespace amqtt {

// A handshake takes a thousand times what a message does and needs nothing of the broker. Those
// that are made here take nothing from the threads that have sockets.
class handshake_thread {
  public:
    using done_handler = std::function<void(std::unique_ptr<tls_stream>)>;

    // -- for the thread that owns the engine

    void start() { loop_.start(); }
    // Closes the connections that are here. Nothing may be admitted any more.
    void end();

    // -- any thread

    // What the sockets must belong to.
    reactor& loop() noexcept { return loop_; }
    // Makes the handshake on a connection that nobody has read from. done runs on this thread, with
    // no operation pending, when it is complete or has failed, or has taken a while and may go on
    // elsewhere.
    void admit(std::unique_ptr<tls_stream> connection, done_handler done);

  private:
    class job;

    reactor loop_;
    boost::unordered_flat_set<std::shared_ptr<job>> jobs_;
};

}  // namespace amqtt
