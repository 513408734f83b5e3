#include "server/listener.hpp"

#include <cerrno>
#include <cstring>
#include <exception>
#include <sys/stat.h>
#include <system_error>
#include <utility>

#include "net/descriptors.hpp"
#include "net/tcp_stream.hpp"
#include "tls/tls_stream.hpp"
#include "websocket/websocket_stream.hpp"

namespace amqtt {
namespace {

// Connections accepted in one turn, so that established ones are not kept waiting.
constexpr int accepts_per_turn = 64;
constexpr int listen_backlog = 4096;
constexpr auto retry_time = std::chrono::milliseconds(100);
constexpr log_kind refused_by_listener{log_level::warning, "connections refused by listeners", 1};
constexpr log_kind accept_failed{log_level::error, "failures to accept connections", 1};

// The connection is at fault and is gone; the next one may be in order (accept(2)).
bool is_of_one_connection(const error_code& error) noexcept {
    switch (error.value()) {
        case ECONNABORTED:
        case EPROTO:
        case EPERM:  // a firewall
        case ETIMEDOUT:
        case ENETDOWN:
        case ENETUNREACH:
        case EHOSTDOWN:
        case EHOSTUNREACH:
        case ENOPROTOOPT:
        case EOPNOTSUPP:
#ifdef ENONET
        case ENONET:
#endif
            return true;
        default:
            return false;
    }
}

[[noreturn]] void fail(const error_code& error, const std::string& text) {
    throw std::system_error(std::error_code(error), text);
}

std::string text_of(const std::string& host, std::uint16_t port) {
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

// Only for endpoints of TCP.
tcp::endpoint as_tcp(const asio::generic::stream_protocol::endpoint& endpoint) {
    tcp::endpoint result;
    result.resize(endpoint.size());
    std::memcpy(result.data(), endpoint.data(), endpoint.size());
    return result;
}

}  // namespace

listener::listener(reactor& loop, listener_settings settings)
    : loop_(loop),
      settings_(std::move(settings)),
      proxies_(settings_.proxies.value_or(std::vector<std::string>())) {
    if (settings_.external) return;
    if (settings_.tls) {
        if (settings_.websocket) settings_.tls->protocol = "http/1.1";
        tls_ = std::make_unique<tls_source>(*settings_.tls);
    }
    if (!settings_.unix_path.empty()) {
        bind_unix();
    } else if (settings_.host.empty()) {
        bind_every_interface();
    } else {
        bind_host();
    }
}

void listener::bind_every_interface() {
    const std::string port = std::to_string(settings_.port);
    bind(tcp::endpoint(tcp::v4(), settings_.port), "0.0.0.0:" + port);
    const std::uint16_t chosen = addresses().front().port;
    try {
        bind(tcp::endpoint(tcp::v6(), chosen), "[::]:" + port, true);
    } catch (const std::system_error& error) {
        // A machine without IPv6 is served over IPv4.
        if (error.code() != std::errc::address_family_not_supported &&
            error.code() != std::errc::address_not_available) {
            throw;
        }
    }
}

void listener::bind_host() {
    const std::string text = text_of(settings_.host, settings_.port);
    error_code error;
    tcp::resolver resolver(loop_.context());
    const auto found = resolver.resolve(settings_.host, std::to_string(settings_.port),
                                        tcp::resolver::passive, error);
    if (error) fail(error, text);
    for (const auto& entry : found)
        bind(entry.endpoint(), text, entry.endpoint().protocol() == tcp::v6());
}

void listener::bind_unix() {
    const std::string& path = settings_.unix_path;
    error_code error;
    remove_stale_socket(path, error);
    if (error) fail(error, path);
    bind(asio::local::stream_protocol::endpoint(path), path);
}

void listener::bind(const protocol::endpoint& endpoint, const std::string& text, bool v6_only) {
    error_code error;
    auto made = std::make_unique<entrance>(loop_.context(), endpoint.protocol());
    acceptor& bound = made->socket;
    open(bound, endpoint, v6_only, error);
    if (error) fail(error, text);
    bound.bind(endpoint, error);
    if (error) fail(error, text);
    if (!settings_.unix_path.empty()) {
        file_.emplace(settings_.unix_path);
        // Nobody can connect before listen(): no moment with other permissions.
        if (settings_.unix_mode && ::chmod(text.c_str(), *settings_.unix_mode) != 0) {
            fail({errno, boost::system::system_category()}, text);
        }
    }
    bound.listen(listen_backlog, error);
    if (error) fail(error, text);
    entrances_.push_back(std::move(made));
}

void listener::open(acceptor& opened, const protocol::endpoint& endpoint, bool v6_only,
                    error_code& error) {
    open_private(opened, endpoint.protocol(), error);
    if (!error && settings_.unix_path.empty()) {
        opened.set_option(acceptor::reuse_address(true), error);
    }
    if (!error && v6_only) opened.set_option(asio::ip::v6_only(true), error);
    if (!error) opened.non_blocking(true, error);
}

bound_address listener::address_of(const protocol::endpoint& endpoint) const {
    if (!settings_.unix_path.empty()) return {"unix:" + settings_.unix_path, 0};
    const tcp::endpoint at = as_tcp(endpoint);
    return {at.address().to_string(), at.port()};
}

std::vector<bound_address> listener::addresses() const {
    std::vector<bound_address> all;
    for (const auto& each : entrances_) {
        error_code ignored;  // a closed acceptor has no address
        all.push_back(address_of(each->socket.local_endpoint(ignored)));
    }
    return all;
}

void listener::start(choose_handler choose, door_handler door, accept_handler on_accept,
                     log_handler log, log_limiter& peer_log) {
    choose_ = std::move(choose);
    door_ = std::move(door);
    on_accept_ = std::move(on_accept);
    log_ = std::move(log);
    peer_log_ = &peer_log;
    if (tls_) log_tls_warnings();
    for (const auto& each : entrances_)
        wait(*each);
}

void listener::close() {
    closed_ = true;
    for (const auto& each : entrances_) {
        each->retry.cancel();
        error_code ignored;  // nothing could be done about it
        each->socket.close(ignored);
    }
    file_.reset();
}

void listener::wait(entrance& at) {
    at.is_waiting = loop_.attempt([&] {
        at.socket.async_wait(acceptor::wait_read, loop_.handler([self = shared_from_this(),
                                                                 &at](const error_code& error) {
            if (self->closed_) return;
            at.is_waiting = false;
            if (error) {
                self->log_failure(error.message());
                self->retry_later(at);
            } else {
                self->accept_ready(at);
            }
        }));
    });
}

void listener::tend() {
    for (const auto& each : entrances_) {
        if (!each->is_waiting && !closed_) wait(*each);
    }
}

void listener::accept_ready(entrance& at) {
    bool more = true;
    for (int i = 0; i < accepts_per_turn && more; ++i) {
        // Out of memory: the connection is lost, the listener is not.
        loop_.attempt([&] { more = accept_next(at); });
    }
    if (!closed_ && !at.is_waiting) wait(at);
}

bool listener::accept_next(entrance& at) {
    protocol::endpoint peer;
    error_code error;
    const int descriptor = accept_socket(at.socket.native_handle(), peer, error);
    if (error == asio::error::would_block) return false;
    if (error) {
        log_failure(error.message());
        if (is_of_one_connection(error)) return true;
        retry_later(at);
        return false;
    }
    handshake_thread* const door = next_door();
    connection_host* const host = door ? nullptr : &choose_();
    stream_socket socket((door ? door->loop() : host->loop()).context());
    assign_or_close(socket, at.kind, descriptor, error);
    if (error) {
        log_failure(error.message());
        return true;
    }
    if (const char* why = reason_to_refuse(peer)) {
        log_refusal(address_of(peer), why);
        return true;  // closes the socket
    }
    const bound_address from = address_of(peer);
    connection_began();
    ++accepted_;
    bool is_served = false;
    if (door) {
        is_served = loop_.attempt([&] { admit(std::move(socket), *door, from); });
    } else {
        is_served = loop_.attempt([&] { serve(std::move(socket), *host, from); });
    }
    if (!is_served) connection_ended();
    return true;
}

// What comes before the handshake, or asks a plugin in the middle of it, needs the broker.
handshake_thread* listener::next_door() const {
    return tls_ && !is_behind_proxy() && !tls_->current()->asks_plugins() ? door_(accepted_)
                                                                          : nullptr;
}

void listener::serve(stream_socket socket, connection_host& host, const bound_address& peer) {
    std::unique_ptr<stream> over;
    if (tls_) {
        over = tls_over(std::move(socket), host.loop());
    } else {
        over = std::make_unique<tcp_stream>(std::move(socket));
    }
    on_accept_(host, frames_over(std::move(over), host.loop()), peer);
}

void listener::admit(stream_socket socket, handshake_thread& door, const bound_address& peer) {
    door.admit(tls_over(std::move(socket), door.loop()), [self = shared_from_this(),
                                                          peer](std::unique_ptr<tls_stream> made) {
        // The connection counts until the core has heard of its end.
        std::shared_ptr<std::unique_ptr<tls_stream>> kept;
        self->loop_.insist(
            [&] { kept = std::make_shared<std::unique_ptr<tls_stream>>(std::move(made)); });
        self->loop_.insist(
            [&] { self->loop_.post([self, peer, kept] { self->serve(std::move(*kept), peer); }); });
    });
}

void listener::serve(std::unique_ptr<tls_stream> made, const bound_address& peer) {
    const bool is_served = loop_.attempt([&] {
        connection_host& host = choose_();
        made->move_to(host.loop());
        on_accept_(host, frames_over(std::move(made), host.loop()), peer);
    });
    if (!is_served) connection_ended();
}

bool listener::is_proxy(const protocol::endpoint& peer) const {
    return !settings_.unix_path.empty() || proxies_.contains(as_tcp(peer).address());
}

const char* listener::reason_to_refuse(const protocol::endpoint& peer) const {
    if (settings_.max_connections != 0 && connections_ >= settings_.max_connections) {
        return "max_connections is reached";
    }
    if (is_behind_proxy() && !is_proxy(peer)) return "it is not in proxy_trusted";
    return nullptr;
}

void listener::log_refusal(const bound_address& peer, const char* why) {
    peer_log_->log(refused_by_listener, peer.host, loop_.now(), [&] {
        return "listener '" + settings_.name + "' refuses the connection of " +
               text_of(printable(peer.host), peer.port) + ": " + why;
    });
}

std::string listener::reload_tls() {
    try {
        tls_->reload();
    } catch (const std::exception& error) {
        return error.what();
    }
    log_tls_warnings();
    return {};
}

void listener::reload_tls_if_changed() {
    try {
        if (tls_->reload_if_changed()) {
            log_(log_level::info, "listener '" + settings_.name + "' uses the changed TLS files");
            log_tls_warnings();
        }
    } catch (const std::exception& error) {
        log_(log_level::error, "listener '" + settings_.name +
                                   "' keeps the TLS files that it has, the changed ones are not "
                                   "usable: " +
                                   error.what());
    }
}

void listener::log_tls_warnings() {
    for (const std::string& each : tls_->current()->warnings())
        log_(log_level::warning, "listener '" + settings_.name + "': " + each);
}

std::unique_ptr<tls_stream> listener::tls_over(stream_socket socket, reactor& loop) const {
    return std::make_unique<tls_stream>(std::move(socket), tls_->current(), loop.write_buffer());
}

std::unique_ptr<stream> listener::frames_over(std::unique_ptr<stream> below, reactor& loop) const {
    if (!settings_.websocket) return below;
    // TLS takes no more than a record at a time.
    const auto scratch =
        tls_ ? loop.frame_buffer().first(tls_stream::record_size) : loop.frame_buffer();
    return std::make_unique<websocket_stream>(std::move(below), *settings_.websocket, scratch);
}

void listener::log_failure(std::string_view problem) {
    peer_log_->log(accept_failed, settings_.name, loop_.now(), [&] {
        return "listener '" + settings_.name +
               "' cannot accept a connection: " + std::string(problem);
    });
}

// Out of file descriptors or memory: the connection stays in the backlog, try again shortly.
void listener::retry_later(entrance& at) {
    at.retry.expires_after(retry_time);
    at.retry.async_wait(loop_.handler([self = shared_from_this(), &at](const error_code& error) {
        if (error || self->closed_) return;
        at.is_waiting = false;
        self->accept_ready(at);
    }));
    at.is_waiting = true;
}

}  // namespace amqtt
