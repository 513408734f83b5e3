// The thread that does the I/O of all MQTTClients of one event loop: what Python holds.
#pragma once

#include <memory>
#include <vector>

#include "bridge/client_messages.hpp"

namespace amqtt {

// While messages come and go one by one, the thread sleeps and the calls of take_events(),
// gather(), flush() and send() do the I/O themselves (reactor_handoff.hpp). They do not wait for
// it, so that a lock of Python's may be held.
//
// Starts on construction. In a process forked off after that everything but the destructor
// throws std::logic_error.
class client_engine {
  public:
    client_engine();
    // Stops if that has not been done.
    ~client_engine();
    client_engine(const client_engine&) = delete;
    client_engine& operator=(const client_engine&) = delete;

    // A handle for one client; it is valid until forget_command.
    client_handle open();
    // Takes effect at once, after those that were gathered.
    void send(client_command command);
    // For commands of which there are many: takes effect with flush() or the next send(), or when
    // enough have come together, or at once when it is a lone one. True when flush() is to be
    // called in a while.
    bool gather(client_command command);
    void flush();
    // Closes every connection without DISCONNECT and ends the thread.
    void stop();

    // Readable when take_events() has something to do.
    int event_fd() const;
    // Appends at most `most` events to `into`; true when more have come.
    bool take_events(std::vector<client_event>& into, std::size_t most);

  private:
    struct parts;

    parts& checked() const;

    std::unique_ptr<parts> parts_;
    int process_;  // the one it was made in
};

}  // namespace amqtt
