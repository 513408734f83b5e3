// Makes the network connection of a client: directly, by Unix socket or through a proxy.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bridge/client_messages.hpp"
#include "client/proxy_handshake.hpp"
#include "net/host_resolver.hpp"
#include "net/stream.hpp"

namespace amqtt {

// One attempt. A host with several addresses is tried as RFC 8305 says: the families in turn, the
// next one when the one before has failed or has not answered for a quarter of a second.
class client_dialer : public std::enable_shared_from_this<client_dialer> {
  public:
    // What came of it: the socket, or an error and what was attempted.
    using handler = std::function<void(const error_code&, std::string what, stream_socket)>;

    client_dialer(asio::io_context& context, host_resolver& resolver, endpoint_settings endpoint)
        : context_(context),
          resolver_(resolver),
          endpoint_(std::move(endpoint)),
          next_timer_(context),
          connected_(context) {}

    // done is called once, unless cancel() comes first.
    void start(handler done);
    // The same for addresses that are known already.
    void start(const std::vector<tcp::endpoint>& addresses, handler done);
    void cancel();

  private:
    void connect_unix();
    // Once more in a moment: the listener is busy, and the socket does not tell when it is not.
    void connect_unix_later();
    void resolve(const std::string& host, std::uint16_t port);
    void try_next();
    void tried(const std::shared_ptr<socket_of<tcp>>& socket, const error_code& error);
    void won(stream_socket socket);
    void talk_to_proxy();
    void read_from_proxy();
    void finish(const error_code& error, std::string what);
    std::string target() const;

    asio::io_context& context_;
    host_resolver& resolver_;
    endpoint_settings endpoint_;
    handler done_;
    std::uint64_t lookup_ = 0;  // under way
    asio::steady_timer next_timer_;
    std::vector<tcp::endpoint> addresses_;  // in the order they are tried
    std::size_t next_ = 0;
    std::vector<std::shared_ptr<socket_of<tcp>>> trying_;
    stream_socket connected_;
    std::unique_ptr<proxy_handshake> proxy_;
    std::string proxy_output_;
    std::array<std::uint8_t, 512> proxy_input_{};
};

}  // namespace amqtt
