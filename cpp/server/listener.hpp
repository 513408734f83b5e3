#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log_limiter.hpp"
#include "broker/settings.hpp"
#include "net/network_list.hpp"
#include "net/reactor.hpp"
#include "net/stream.hpp"
#include "net/unix_socket.hpp"
#include "server/connection_host.hpp"
#include "server/handshake_thread.hpp"
#include "tls/tls_source.hpp"
#include "websocket/websocket_upgrade.hpp"

namespace amqtt {

struct listener_settings {
    std::string name;
    std::string host;                         // empty: every interface, IPv4 and IPv6
    std::uint16_t port = 1883;                // 0: one the system chooses
    bool external = false;                    // no address: the application hands connections in
    std::size_t max_connections = 0;          // 0: no limit
    std::string unix_path;                    // not empty: a Unix socket instead of host and port
    std::optional<unsigned int> unix_mode;    // permissions of its file; nullopt: by the umask
    std::optional<connection_limits> limits;  // nullopt: those of the broker
    std::optional<tls_settings> tls;
    std::optional<websocket_settings> websocket;
    // Connections come from these proxies, each with a header of the PROXY protocol; nobody else
    // may connect. Over a Unix socket the permissions of its file say who is a proxy.
    std::optional<std::vector<std::string>> proxies;
};

struct bound_address {
    std::string host;  // of a Unix socket "unix:" and its path
    std::uint16_t port;
};

// Accepts connections on the addresses of one configured listener.
class listener : public std::enable_shared_from_this<listener> {
  public:
    // Says who is to serve the next connection.
    using choose_handler = std::function<connection_host&()>;
    // Says who is to make the handshake of the connection with that number first; nullptr: whoever
    // serves it.
    using door_handler = std::function<handshake_thread*(std::uint64_t)>;
    using accept_handler =
        std::function<void(connection_host&, std::unique_ptr<stream>, const bound_address& peer)>;
    using log_handler = std::function<void(log_level, const std::string&)>;

    // Binds and listens. Throws std::system_error whose text names the address, and
    // tls_settings_error; std::invalid_argument for a proxy that is no address.
    listener(reactor& loop, listener_settings settings);

    // From here on, on the reactor's thread. peer_log is for lines that peers can cause.
    void start(choose_handler choose, door_handler door, accept_handler on_accept, log_handler log,
               log_limiter& peer_log);
    void close();
    // To be called now and then: waits again for connections where there was no memory to.
    void tend();
    // A connection was handed in. It is counted with the others, and max_connections does not
    // refuse it: whoever has accepted it decides how many there may be.
    void connection_began() noexcept { ++connections_; }
    // One of those, or one that on_accept was given, has ended.
    void connection_ended() noexcept { --connections_; }

    bool has_tls() const noexcept { return tls_ != nullptr; }
    // Reads the files of certificates and keys again. Returns what is wrong with them, then the
    // old ones stay in use; empty when nothing is.
    std::string reload_tls();
    // To be called now and then: does that when the files have changed, and logs it.
    void reload_tls_if_changed();

    bool is_behind_proxy() const noexcept { return settings_.proxies.has_value(); }
    const std::string& name() const noexcept { return settings_.name; }
    const connection_limits* limits() const noexcept {
        return settings_.limits ? &*settings_.limits : nullptr;
    }
    std::vector<bound_address> addresses() const;
    std::size_t connections() const noexcept { return connections_; }

  private:
    using protocol = asio::generic::stream_protocol;
    using acceptor = asio::basic_socket_acceptor<protocol>;

    // One address it listens at. Each tries again for itself when it cannot accept.
    struct entrance {
        entrance(asio::io_context& context, const protocol& what)
            : kind(what), socket(context), retry(context) {}

        protocol kind;
        acceptor socket;
        asio::steady_timer retry;
        bool is_waiting = false;  // for a connection, or to try again
    };

    void bind_every_interface();
    void bind_host();
    void bind_unix();
    void open(acceptor& opened, const protocol::endpoint& endpoint, bool v6_only,
              error_code& error);
    void bind(const protocol::endpoint& endpoint, const std::string& text, bool v6_only = false);
    bound_address address_of(const protocol::endpoint& endpoint) const;
    std::unique_ptr<tls_stream> tls_over(stream_socket socket, reactor& loop) const;
    std::unique_ptr<stream> frames_over(std::unique_ptr<stream> below, reactor& loop) const;
    handshake_thread* next_door() const;
    void serve(stream_socket socket, connection_host& host, const bound_address& peer);
    // One whose handshake was made elsewhere.
    void serve(std::unique_ptr<tls_stream> made, const bound_address& peer);
    void admit(stream_socket socket, handshake_thread& door, const bound_address& peer);
    bool is_proxy(const protocol::endpoint& peer) const;
    // Null, or why a new connection is not served.
    const char* reason_to_refuse(const protocol::endpoint& peer) const;
    void log_refusal(const bound_address& peer, const char* why);
    void wait(entrance& at);
    void accept_ready(entrance& at);
    // False when there is nothing more to accept now; then waiting goes on or will.
    bool accept_next(entrance& at);
    void retry_later(entrance& at);
    void log_failure(std::string_view problem);
    void log_tls_warnings();

    reactor& loop_;
    listener_settings settings_;
    std::unique_ptr<tls_source> tls_;
    network_list proxies_;
    std::vector<std::unique_ptr<entrance>> entrances_;
    std::optional<unix_socket_file> file_;
    bool closed_ = false;
    choose_handler choose_;
    door_handler door_;
    accept_handler on_accept_;
    log_handler log_;
    log_limiter* peer_log_ = nullptr;
    std::size_t connections_ = 0;
    std::uint64_t accepted_ = 0;
};

}  // namespace amqtt
