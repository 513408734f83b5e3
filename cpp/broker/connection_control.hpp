#pragma once

#include "base/reason_code.hpp"

namespace amqtt {

// What the broker asks of the network connection under a client. Calls only note the wish;
// they do no I/O and never call back.
class connection_control {
  public:
    virtual ~connection_control() = default;

    // There is output; called once until the output was looked at (client::flush_requested).
    virtual void flush_soon() = 0;
    // Close when the output is sent; the transport may have a way to tell the reason, too.
    virtual void close_soon(reason_code reason) = 0;
    // Reading may go on after broker::receive() had said stop.
    virtual void resume_reading() = 0;
    // Another connection says that it is of the same client, and may have overtaken what the peer
    // has sent here. True: what there is of that will be received, then broker::caught_up() is
    // called, or broker::closed(). False: there is nothing.
    virtual bool catch_up() { return false; }
};

}  // namespace amqtt
