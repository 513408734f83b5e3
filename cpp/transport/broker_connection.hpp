#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "broker/broker.hpp"
#include "transport/proxy_header.hpp"
#include "transport/reactor.hpp"
#include "transport/stream.hpp"

namespace amqtt {

// Performs what the broker decides for one network connection. Lives as long as an operation
// on its socket is pending.
class broker_connection : public link,
                          public flushable,
                          public std::enable_shared_from_this<broker_connection> {
  public:
    // Is told what the peer did wrong below MQTT, if anything.
    using closed_handler = std::function<void(const peer_info& peer, const std::string& problem)>;

    // Is told that plugins are to be asked for a pre-shared key; answer_key() must follow.
    using key_handler = std::function<void(const peer_info& peer, std::string_view identity)>;

    broker_connection(reactor& loop, broker& core, std::unique_ptr<stream> peer_stream);

    // on_closed runs once, when the socket is closed. With a proxy in front, the peer is the
    // proxy until its header has come.
    void start(peer_info peer, bool behind_proxy, closed_handler on_closed,
               key_handler on_key_wanted);
    // An empty key refuses the client.
    void answer_key(bytes_view key);

    void flush_soon() override;
    void close_soon(reason_code reason) override;
    void resume_reading() override;
    void flush() override;

    // Closes at once, whatever is still to be sent.
    void close();

  private:
    void wait_to_read(io_status wanted = io_status::want_read);
    void wait_to_flush(io_status wanted);
    void on_readable();
    // Reads the header of the PROXY protocol. True when it is complete.
    bool read_proxy_header();
    void tell_tls();
    void linger();
    // The broker learns that the connection is over, or will be as soon as the peer was told.
    void tell_broker();

    reactor& loop_;
    broker& core_;
    std::unique_ptr<stream> stream_;
    std::unique_ptr<proxy_header> proxy_header_;  // until it is complete
    std::string problem_;                         // what was wrong with it
    closed_handler on_closed_;
    key_handler on_key_wanted_;
    std::unique_ptr<client> client_;
    std::optional<asio::steady_timer> linger_timer_;  // bounds the time a close may take
    bool waiting_to_read_ = false;
    bool waiting_to_flush_ = false;
    bool reading_ = true;
    bool tls_told_ = false;
    bool closing_ = false;
    bool send_is_shut_ = false;
    bool broker_knows_ = false;
};

}  // namespace amqtt
