#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/reactor.hpp"
#include "transport/stream.hpp"
#include "transport/tls_context.hpp"
#include "transport/unix_socket.hpp"
#include "transport/websocket_upgrade.hpp"

namespace amqtt {

struct listener_settings {
    std::string name;
    std::string host;                       // empty: every interface, IPv4 and IPv6
    std::uint16_t port = 1883;              // 0: one the system chooses
    std::size_t max_connections = 0;        // 0: no limit
    std::string unix_path;                  // not empty: a Unix socket instead of host and port
    std::optional<unsigned int> unix_mode;  // permissions of its file; nullopt: by the umask
    std::optional<tls_settings> tls;
    std::optional<websocket_settings> websocket;
};

struct bound_address {
    std::string host;  // of a Unix socket "unix:" and its path
    std::uint16_t port;
};

// Accepts connections on the addresses of one configured listener.
class listener : public std::enable_shared_from_this<listener> {
  public:
    using accept_handler = std::function<void(std::unique_ptr<stream>, const bound_address& peer)>;
    using problem_handler = std::function<void(const std::string&)>;

    // Binds and listens. Throws std::system_error whose text names the address, and
    // tls_settings_error.
    listener(reactor& loop, listener_settings settings);

    // From here on, on the reactor's thread.
    void start(accept_handler on_accept, problem_handler on_problem);
    void close();
    // A connection that on_accept was given has ended.
    void connection_ended() noexcept { --connections_; }

    const std::string& name() const noexcept { return settings_.name; }
    std::vector<bound_address> addresses() const;
    std::size_t connections() const noexcept { return connections_; }

  private:
    using protocol = asio::generic::stream_protocol;
    using acceptor = asio::basic_socket_acceptor<protocol>;

    void bind_every_interface();
    void bind_host();
    void bind_unix();
    acceptor open(const protocol::endpoint& endpoint, bool v6_only, error_code& error);
    void bind(const protocol::endpoint& endpoint, const std::string& text, bool v6_only = false);
    bound_address address_of(const protocol::endpoint& endpoint) const;
    std::unique_ptr<stream> stream_over(stream_socket socket) const;
    void wait(acceptor& from);
    void accept_ready(acceptor& from);
    void retry_later(acceptor& from, const error_code& error);

    reactor& loop_;
    listener_settings settings_;
    std::unique_ptr<tls_context> tls_;
    std::vector<acceptor> acceptors_;
    std::optional<unix_socket_file> file_;
    asio::steady_timer retry_;
    accept_handler on_accept_;
    problem_handler on_problem_;
    std::size_t connections_ = 0;
};

}  // namespace amqtt
