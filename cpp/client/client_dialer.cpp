#include "client/client_dialer.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>
#include <system_error>
#include <utility>

#include "net/descriptors.hpp"

namespace amqtt {
namespace {

// Connection Attempt Delay (RFC 8305, 5).
constexpr auto attempt_delay = std::chrono::milliseconds(250);

// Between two attempts at a Unix socket whose backlog is full.
constexpr auto busy_delay = std::chrono::milliseconds(20);

// The families in turn, beginning with that of the first address (RFC 8305, 4).
std::vector<tcp::endpoint> interleaved(const std::vector<tcp::endpoint>& found) {
    std::vector<tcp::endpoint> first;
    std::vector<tcp::endpoint> second;
    for (const tcp::endpoint& address : found) {
        const bool same = first.empty() || address.protocol() == first.front().protocol();
        (same ? first : second).push_back(address);
    }
    std::vector<tcp::endpoint> all;
    for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
        if (i < first.size()) all.push_back(first[i]);
        if (i < second.size()) all.push_back(second[i]);
    }
    return all;
}

// The same connection, of which Asio does not know that it was waited for until it was writable:
// else each wait for input would be told that it still is.
stream_socket registered_anew(socket_of<tcp>& socket) {
    error_code error;
    const tcp::endpoint local = socket.local_endpoint(error);
    stream_socket fresh(socket.get_executor());
    if (error) return stream_socket(std::move(socket));
    assign_or_close(fresh, local.protocol(), socket.release(), error);
    return fresh;
}

}  // namespace

void client_dialer::start(handler done) {
    done_ = std::move(done);
    if (!endpoint_.unix_path.empty()) {
        connect_unix();
    } else if (endpoint_.proxy) {
        resolve(endpoint_.proxy->host, endpoint_.proxy->port);
    } else {
        resolve(endpoint_.host, endpoint_.port);
    }
}

void client_dialer::cancel() {
    done_ = nullptr;
    resolver_.cancel(lookup_);
    next_timer_.cancel();
    error_code ignored;  // nothing could be done about it
    for (const auto& socket : trying_)
        socket->close(ignored);
    connected_.close(ignored);
}

std::string client_dialer::target() const {
    if (!endpoint_.unix_path.empty()) return endpoint_.unix_path;
    if (endpoint_.proxy) {
        return "proxy " + endpoint_.proxy->host + ":" + std::to_string(endpoint_.proxy->port);
    }
    return endpoint_.host + ":" + std::to_string(endpoint_.port);
}

void client_dialer::finish(const error_code& error, std::string what) {
    const handler done = std::exchange(done_, nullptr);
    if (!done) return;
    stream_socket socket = std::move(connected_);
    cancel();
    done(error, std::move(what), std::move(socket));
}

void client_dialer::connect_unix() {
    using local = asio::local::stream_protocol;
    error_code error;
    socket_of<local> socket(context_);
    const std::string& path = endpoint_.unix_path;
    // A longer one would make the endpoint throw.
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        error = asio::error::name_too_long;
    } else {
        open_private(socket, local(), error);
        // Else it would wait for room in the backlog of a listener that is busy or hangs, and
        // everybody with it. So it is complete at once, or fails.
        if (!error) socket.non_blocking(true, error);
        // Asio's own call waits all the same.
        const local::endpoint to(path);
        const auto size = static_cast<socklen_t>(to.size());
        if (!error && ::connect(socket.native_handle(), to.data(), size) != 0) {
            error.assign(errno, boost::system::system_category());
        }
    }
    if (error == asio::error::would_block || error == asio::error::try_again) {
        connect_unix_later();
        return;
    }
    if (!error) connected_ = stream_socket(std::move(socket));
    asio::post(context_, [self = shared_from_this(), error] {
        self->finish(error, error ? "cannot connect to " + self->target() : std::string());
    });
}

void client_dialer::connect_unix_later() {
    next_timer_.expires_after(busy_delay);
    next_timer_.async_wait([self = shared_from_this()](const error_code& cancelled) {
        if (!cancelled && self->done_) self->connect_unix();
    });
}

// -- TCP

void client_dialer::resolve(const std::string& host, std::uint16_t port) {
    const auto found = [self = shared_from_this(), host](
                           const error_code& error, const std::vector<tcp::endpoint>& addresses) {
        if (!self->done_) return;
        if (error) {
            self->finish(error, "cannot resolve '" + host + "'");
        } else {
            self->start(addresses, std::exchange(self->done_, nullptr));
        }
    };
    try {
        lookup_ = resolver_.resolve(host, port, found);
    } catch (const std::system_error& error) {
        asio::post(context_, [found, code = error.code()] { found(error_code(code), {}); });
    }
}

void client_dialer::start(const std::vector<tcp::endpoint>& addresses, handler done) {
    done_ = std::move(done);
    addresses_ = interleaved(addresses);
    try_next();
}

void client_dialer::try_next() {
    if (!done_ || next_ == addresses_.size()) return;
    const tcp::endpoint address = addresses_[next_++];
    const auto socket = std::make_shared<socket_of<tcp>>(context_);
    trying_.push_back(socket);
    error_code error;
    open_private(*socket, address.protocol(), error);
    if (error) {
        asio::post(context_,
                   [self = shared_from_this(), socket, error] { self->tried(socket, error); });
        return;
    }
    socket->async_connect(address, [self = shared_from_this(), socket](const error_code& failure) {
        self->tried(socket, failure);
    });
    if (next_ == addresses_.size()) return;
    next_timer_.expires_after(attempt_delay);
    next_timer_.async_wait([self = shared_from_this()](const error_code& cancelled) {
        if (!cancelled) self->try_next();
    });
}

void client_dialer::tried(const std::shared_ptr<socket_of<tcp>>& socket, const error_code& error) {
    if (!done_ || connected_.is_open()) return;
    std::erase(trying_, socket);
    if (!error) {
        won(registered_anew(*socket));
    } else if (next_ < addresses_.size()) {
        next_timer_.cancel();
        try_next();
    } else if (trying_.empty()) {
        finish(error, "cannot connect to " + target());
    }
}

void client_dialer::won(stream_socket socket) {
    connected_ = std::move(socket);
    next_timer_.cancel();
    error_code ignored;  // nothing could be done about it
    for (const auto& other : std::exchange(trying_, {}))
        other->close(ignored);
    if (!endpoint_.proxy) {
        finish({}, {});
        return;
    }
    proxy_ = std::make_unique<proxy_handshake>(*endpoint_.proxy, endpoint_.host, endpoint_.port);
    talk_to_proxy();
}

// -- the proxy

void client_dialer::talk_to_proxy() {
    if (!done_) return;
    if (proxy_->status() == proxy_handshake::state::failed) {
        finish(asio::error::connection_refused, target() + ": " + proxy_->problem());
        return;
    }
    if (proxy_->status() == proxy_handshake::state::connected) {
        finish({}, {});
        return;
    }
    proxy_output_ = proxy_->take_output();
    if (proxy_output_.empty()) {
        read_from_proxy();
        return;
    }
    asio::async_write(connected_, asio::buffer(proxy_output_),
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                          if (!self->done_) return;
                          if (error) {
                              self->finish(error, "cannot write to " + self->target());
                          } else {
                              self->read_from_proxy();
                          }
                      });
}

void client_dialer::read_from_proxy() {
    const std::size_t most = std::min(proxy_->wanted(), proxy_input_.size());
    connected_.async_read_some(
        asio::buffer(proxy_input_, most),
        [self = shared_from_this()](const error_code& error, std::size_t size) {
            if (!self->done_) return;
            if (error) {
                self->finish(error, "cannot read from " + self->target());
                return;
            }
            self->proxy_->receive(bytes_view(self->proxy_input_).first(size));
            self->talk_to_proxy();
        });
}

}  // namespace amqtt
