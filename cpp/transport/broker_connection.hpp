#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "broker/broker.hpp"
#include "transport/reactor.hpp"
#include "transport/tcp_stream.hpp"

namespace amqtt {

// Performs what the broker decides for one network connection. Lives as long as an operation
// on its socket is pending.
class broker_connection : public link,
                          public flushable,
                          public std::enable_shared_from_this<broker_connection> {
  public:
    broker_connection(reactor& loop, broker& core, tcp::socket socket);

    // on_closed runs once, when the socket is closed.
    void start(peer_info peer, std::function<void()> on_closed);

    void flush_soon() override;
    void close_soon() override;
    void resume_reading() override;
    void flush() override;

    // Closes at once, whatever is still to be sent.
    void close();

  private:
    void wait_readable();
    void on_readable();
    void linger();

    reactor& loop_;
    broker& core_;
    tcp_stream stream_;
    std::function<void()> on_closed_;
    std::unique_ptr<client> client_;
    std::optional<asio::steady_timer> linger_timer_;  // bounds the time a close may take
    bool waiting_readable_ = false;
    bool waiting_writable_ = false;
    bool reading_ = true;
    bool closing_ = false;
    bool send_is_shut_ = false;
};

}  // namespace amqtt
