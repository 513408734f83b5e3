#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "transport/reactor.hpp"

namespace amqtt {

struct listener_settings {
    std::string name;
    std::string host;            // empty: every interface, IPv4 and IPv6
    std::uint16_t port = 1883;   // 0: one the system chooses
    std::size_t max_connections = 0;  // 0: no limit
};

struct bound_address {
    std::string host;
    std::uint16_t port;
};

// Accepts connections on the addresses of one configured listener.
class listener : public std::enable_shared_from_this<listener> {
  public:
    using accept_handler = std::function<void(tcp::socket, const tcp::endpoint&)>;
    using problem_handler = std::function<void(const std::string&)>;

    // Binds and listens. Throws std::system_error whose text names the address.
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
    void bind_all(const tcp::endpoint& endpoint, const std::string& text, bool v6_only);
    void wait(tcp::acceptor& acceptor);
    void accept_ready(tcp::acceptor& acceptor);
    void retry_later(tcp::acceptor& acceptor, const error_code& error);

    reactor& loop_;
    listener_settings settings_;
    std::vector<tcp::acceptor> acceptors_;
    asio::steady_timer retry_;
    accept_handler on_accept_;
    problem_handler on_problem_;
    std::size_t connections_ = 0;
};

}  // namespace amqtt
