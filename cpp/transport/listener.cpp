#include "transport/listener.hpp"

#include <system_error>
#include <utility>

namespace amqtt {
namespace {

// Connections accepted in one turn, so that established ones are not kept waiting.
constexpr int accepts_per_turn = 64;
constexpr int backlog = 4096;
constexpr auto retry_time = std::chrono::milliseconds(100);

[[noreturn]] void fail(const error_code& error, const std::string& text) {
    throw std::system_error(std::error_code(error), text);
}

std::string text_of(const std::string& host, std::uint16_t port) {
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace

listener::listener(reactor& loop, listener_settings settings)
    : loop_(loop), settings_(std::move(settings)), retry_(loop.context()) {
    if (settings_.host.empty()) {
        const std::string port = std::to_string(settings_.port);
        bind_all({tcp::v4(), settings_.port}, "0.0.0.0:" + port, false);
        // A machine without IPv6 is served over IPv4.
        const std::uint16_t chosen = acceptors_.front().local_endpoint().port();
        try {
            bind_all({tcp::v6(), chosen}, "[::]:" + port, true);
        } catch (const std::system_error& error) {
            if (error.code() != std::errc::address_family_not_supported &&
                error.code() != std::errc::address_not_available) {
                throw;
            }
        }
        return;
    }
    const std::string text = text_of(settings_.host, settings_.port);
    error_code error;
    tcp::resolver resolver(loop.context());
    const auto found = resolver.resolve(settings_.host, std::to_string(settings_.port),
                                        tcp::resolver::passive, error);
    if (error) fail(error, text);
    for (const auto& entry : found)
        bind_all(entry.endpoint(), text, entry.endpoint().protocol() == tcp::v6());
}

void listener::bind_all(const tcp::endpoint& endpoint, const std::string& text, bool v6_only) {
    error_code error;
    tcp::acceptor acceptor(loop_.context());
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && v6_only) acceptor.set_option(asio::ip::v6_only(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(backlog, error);
    if (!error) acceptor.non_blocking(true, error);
    if (error) fail(error, text);
    acceptors_.push_back(std::move(acceptor));
}

std::vector<bound_address> listener::addresses() const {
    std::vector<bound_address> all;
    for (const auto& acceptor : acceptors_) {
        error_code ignored;  // a closed acceptor has no address
        const tcp::endpoint at = acceptor.local_endpoint(ignored);
        all.push_back({at.address().to_string(), at.port()});
    }
    return all;
}

void listener::start(accept_handler on_accept, problem_handler on_problem) {
    on_accept_ = std::move(on_accept);
    on_problem_ = std::move(on_problem);
    for (auto& acceptor : acceptors_)
        wait(acceptor);
}

void listener::close() {
    retry_.cancel();
    for (auto& acceptor : acceptors_) {
        error_code ignored;  // nothing could be done about it
        acceptor.close(ignored);
    }
}

void listener::wait(tcp::acceptor& acceptor) {
    acceptor.async_wait(tcp::acceptor::wait_read,
                        [self = shared_from_this(), &acceptor](const error_code& error) {
                            if (!error) self->accept_ready(acceptor);
                        });
}

void listener::accept_ready(tcp::acceptor& acceptor) {
    for (int i = 0; i < accepts_per_turn; ++i) {
        tcp::socket socket(loop_.context());
        tcp::endpoint peer;
        error_code error;
        acceptor.accept(socket, peer, error);
        if (error == asio::error::would_block) break;
        if (error == asio::error::connection_aborted) continue;
        if (error) {
            retry_later(acceptor, error);
            return;
        }
        const bool full =
            settings_.max_connections != 0 && connections_ >= settings_.max_connections;
        if (full) continue;  // closes the socket
        ++connections_;
        on_accept_(std::move(socket), peer);
    }
    wait(acceptor);
}

// Out of file descriptors or memory: the connection stays in the backlog, try again shortly.
void listener::retry_later(tcp::acceptor& acceptor, const error_code& error) {
    on_problem_("listener '" + settings_.name + "' cannot accept: " + error.message());
    retry_.expires_after(retry_time);
    retry_.async_wait([self = shared_from_this(), &acceptor](const error_code& cancelled) {
        if (!cancelled) self->accept_ready(acceptor);
    });
}

}  // namespace amqtt
