#include "server/socket_endpoint.hpp"

#include <utility>

#include "net/tcp_stream.hpp"

namespace amqtt {
namespace {

// Reads of one connection before the others get their turn.
constexpr int reads_per_turn = 4;
// Reads of input that nobody wants, before a connection is closed in a hurry.
constexpr int last_reads = 16;
// How long a peer may take to receive the last bytes and to close its side.
constexpr auto linger_time = std::chrono::seconds(5);

}  // namespace

socket_endpoint::socket_endpoint(reactor& loop, std::unique_ptr<stream> peer_stream,
                                 bool behind_proxy)
    : loop_(loop),
      stream_(std::move(peer_stream)),
      proxy_header_(behind_proxy ? std::make_unique<proxy_header>() : nullptr) {}

void socket_endpoint::start() {
    guard([this] { wait_to_read(); });
}

// Nothing else is at work on this connection: what has thrown is unwound.
void socket_endpoint::fail() noexcept {
    loop_.attempt([this] {
        if (problem_->empty()) problem_.make() = "it could not be served: out of memory, or worse";
    });
    loop_.attempt([this] { close(); });
}

void socket_endpoint::wait_to_read(io_status wanted) {
    if (std::exchange(waiting_to_read_, true)) return;
    if (wanted == io_status::want_read && stream_->has_input()) {
        loop_.post([self = shared_from_this()] {
            self->waiting_to_read_ = false;
            self->guard([&] { self->on_readable(); });
        });
        return;
    }
    stream_->wait(wanted, [self = shared_from_this()](const error_code& error) {
        self->waiting_to_read_ = false;
        if (!error) self->guard([&] { self->on_readable(); });
    });
}

void socket_endpoint::on_readable() {
    if (!stream_->is_open()) return;
    if (proxy_header_ && !read_proxy_header()) return;
    io_status wanted = io_status::want_read;
    for (int i = 0; i < reads_per_turn && (reading_ || send_is_shut_); ++i) {
        // With our side shut all that is of interest is the peer's close.
        const auto buffer = send_is_shut_ ? loop_.read_buffer() : input_buffer();
        if (buffer.empty()) {
            reading_ = false;
            break;
        }
        const io_result got = stream_->read(buffer);
        if (got.status == io_status::want_read || got.status == io_status::want_write) {
            wanted = got.status;
            tell_all_read();
            break;
        }
        if (got.status == io_status::want_key) {
            key_wanted(stream_->key_question());
            return;
        }
        if (got.status == io_status::ended && !send_is_shut_) {
            peer_ended();
            close_after_output(reason_code::success);
            return;
        }
        if (got.status != io_status::done || (got.size == 0 && send_is_shut_)) {
            close();
            return;
        }
        if (got.size == 0) {
            peer_left();
            tell_all_read();
            return;
        }
        if (send_is_shut_) continue;
        tell_tls();
        reading_ = input_read(buffer.first(got.size));
        if (!reading_) tell_all_read();
        // Less than there was room for: the socket is empty, so save the call that finds out. It
        // does not tell whether the peer has left.
        if (got.size < buffer.size() && !is_catching_up_) break;
    }
    if (stream_->has_output()) flush_output();
    if (reading_ || send_is_shut_) wait_to_read(wanted);
}

// The header comes before everything else, TLS included, and not a byte behind it may be taken
// from the socket: that is the stream's.
bool socket_endpoint::read_proxy_header() {
    const auto buffer = loop_.read_buffer().first(proxy_header::largest);
    const io_result seen = peek_some(stream_->socket(), buffer);
    if (seen.status == io_status::want_read) {
        wait_to_read();
        return false;
    }
    if (seen.status != io_status::done || seen.size == 0) {
        close();
        return false;
    }
    const std::size_t taken = proxy_header_->receive(buffer.first(seen.size));
    receive_some(stream_->socket(), buffer.first(taken));
    switch (proxy_header_->status()) {
        case proxy_header::state::reading:
            wait_to_read();
            return false;
        case proxy_header::state::refused:
            problem_.make() = std::string("PROXY protocol: ") + proxy_header_->problem();
            close();
            return false;
        default:
            break;
    }
    if (const auto& from = proxy_header_->peer()) peer_found(from->host, from->port);
    proxy_header_.reset();
    return true;
}

// Before the first input: what is decided about the CONNECT may depend on it.
void socket_endpoint::tell_tls() {
    if (std::exchange(tls_told_, true)) return;
    if (auto proven = stream_->tls()) handshake_done(std::move(proven));
}

void socket_endpoint::give_key(bytes_view key) {
    if (!stream_->is_open() || stream_->key_question().empty()) return;
    stream_->answer_key(key);
    wait_to_read();
}

void socket_endpoint::stop_reading() {
    reading_ = false;
    tell_all_read();
}

void socket_endpoint::catch_up() {
    is_catching_up_ = true;
    if (closing_) {
        tell_all_read();
    } else {
        on_readable();
    }
}

void socket_endpoint::tell_all_read() {
    if (std::exchange(is_catching_up_, false)) all_read();
}

void socket_endpoint::go_on_reading() {
    if (closing_) return;
    reading_ = true;
    wait_to_read();
}

void socket_endpoint::close_after_output(reason_code reason) {
    if (std::exchange(closing_, true)) return;
    stream_->set_end_reason(reason);
    stop_reading();
    flush_output();
}

void socket_endpoint::flush() {
    output_queue& out = output();
    if (!stream_->is_open()) {
        discard(out);
        return;
    }
    if (!waiting_to_flush_ && !send_is_shut_) write(out);
    if (closing_ && !linger_timer_ && stream_->is_open()) bound_closing();
}

void socket_endpoint::bound_closing() {
    linger_timer_ = std::make_unique<asio::steady_timer>(loop_.context(), linger_time);
    linger_timer_->async_wait([self = weak_from_this()](const error_code& error) {
        const auto connection = self.lock();
        if (!error && connection) connection->guard([&] { connection->close(); });
    });
}

void socket_endpoint::write(output_queue& out) {
    const io_result sent = write_queue(*stream_, out);
    if (sent.status == io_status::failed) {
        close();
        return;
    }
    if (sent.size > 0) output_written(sent.size);
    if (sent.status != io_status::done) {
        wait_to_flush(sent.status);
    } else if (closing_ && out.empty()) {
        linger();  // output_written() may have added some, to be flushed by then
    }
}

// The broker may have input left to deal with, and go on with it when its answers are gone.
void socket_endpoint::discard(output_queue& out) {
    const std::size_t size = out.size();
    out.clear();
    if (size > 0) output_written(size);
}

void socket_endpoint::wait_to_flush(io_status wanted) {
    waiting_to_flush_ = true;
    stream_->wait(wanted, [self = shared_from_this()](const error_code& error) {
        self->waiting_to_flush_ = false;
        if (!error) self->guard([&] { self->flush(); });
    });
}

// Closing a socket that holds unread input resets the connection, and the peer might lose what
// it was sent last. So: end our side, and read until the peer has ended its own, unless it has
// already, as clients do behind their DISCONNECT.
void socket_endpoint::linger() {
    if (stream_->is_at_end()) {
        close();
        return;
    }
    const io_status status = stream_->shutdown_send();
    if (status == io_status::failed) {
        close();
    } else if (status != io_status::done) {
        wait_to_flush(status);
    } else {
        send_is_shut_ = true;
        wait_to_read();
    }
}

void socket_endpoint::finish() {
    guard([this] { flush(); });
    if (!stream_->is_open()) return;
    guard([this] {
        if (!send_is_shut_) (void)stream_->shutdown_send();
        // Closing a socket that holds unread input resets the connection, as in linger().
        const auto buffer = loop_.read_buffer();
        for (int i = 0; i < last_reads; ++i) {
            const io_result got = receive_some(stream_->socket(), buffer);
            if (got.status != io_status::done || got.size == 0) break;
        }
    });
    guard([this] { close(); });
}

void socket_endpoint::close() {
    if (!stream_->is_open()) return;
    stream_->close();
    // The other half may want to close what is closed; that must find nothing to do.
    closing_ = true;
    is_catching_up_ = false;
    linger_timer_.reset();
    std::string problem;
    loop_.attempt([&] { problem = problem_->empty() ? stream_->problem() : *problem_; });
    socket_closed(problem);
}

}  // namespace amqtt
