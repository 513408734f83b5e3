#include "transport/broker_connection.hpp"

#include <utility>

#include "transport/tcp_stream.hpp"

namespace amqtt {
namespace {

// Reads of one connection before the others get their turn.
constexpr int reads_per_turn = 4;
// How long a peer may take to receive the last bytes and to close its side.
constexpr auto linger_time = std::chrono::seconds(5);

}  // namespace

broker_connection::broker_connection(reactor& loop, broker& core,
                                     std::unique_ptr<stream> peer_stream)
    : loop_(loop), core_(core), stream_(std::move(peer_stream)) {}

void broker_connection::start(peer_info peer, bool behind_proxy, closed_handler on_closed,
                              key_handler on_key_wanted) {
    on_closed_ = std::move(on_closed);
    on_key_wanted_ = std::move(on_key_wanted);
    if (behind_proxy) proxy_header_ = std::make_unique<proxy_header>();
    client_ = core_.open(*this, std::move(peer), loop_.now());
    wait_to_read();
}

void broker_connection::wait_to_read(io_status wanted) {
    if (std::exchange(waiting_to_read_, true)) return;
    if (wanted == io_status::want_read && stream_->has_input()) {
        loop_.post([self = shared_from_this()] {
            self->waiting_to_read_ = false;
            self->on_readable();
        });
        return;
    }
    stream_->wait(wanted, [self = shared_from_this()](const error_code& error) {
        self->waiting_to_read_ = false;
        if (!error) self->on_readable();
    });
}

void broker_connection::on_readable() {
    if (!stream_->is_open()) return;
    if (proxy_header_ && !read_proxy_header()) return;
    io_status wanted = io_status::want_read;
    for (int i = 0; i < reads_per_turn && (reading_ || send_is_shut_); ++i) {
        const auto buffer = loop_.read_buffer();
        const io_result got = stream_->read(buffer);
        if (got.status == io_status::want_read || got.status == io_status::want_write) {
            wanted = got.status;
            break;
        }
        if (got.status == io_status::want_key) {
            on_key_wanted_(client_->peer, stream_->key_question());
            return;
        }
        if (got.status == io_status::ended && !send_is_shut_) {
            tell_broker();
            close_soon(reason_code::success);
            return;
        }
        if (got.status != io_status::done || got.size == 0) {
            close();
            return;
        }
        if (send_is_shut_) continue;  // all that is of interest now is the peer's close
        tell_tls();
        reading_ = core_.receive(*client_, buffer.first(got.size), loop_.now());
        // Less than there was room for: the socket is empty, so save the call that finds out.
        if (got.size < buffer.size()) break;
    }
    if (stream_->has_output()) flush_soon();
    if (reading_ || send_is_shut_) wait_to_read(wanted);
}

// The header comes before everything else, TLS included, and not a byte behind it may be taken
// from the socket: that is the stream's.
bool broker_connection::read_proxy_header() {
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
            problem_ = std::string("PROXY protocol: ") + proxy_header_->problem();
            close();
            return false;
        default:
            break;
    }
    if (const auto& from = proxy_header_->peer()) {
        client_->peer.address = from->host;
        client_->peer.port = from->port;
    }
    proxy_header_.reset();
    return true;
}

// Before the first input: what is decided about the CONNECT may depend on it.
void broker_connection::tell_tls() {
    if (std::exchange(tls_told_, true)) return;
    client_->peer.tls = stream_->tls();
}

void broker_connection::answer_key(bytes_view key) {
    if (!stream_->is_open() || stream_->key_question().empty()) return;
    stream_->answer_key(key);
    wait_to_read();
}

void broker_connection::resume_reading() {
    reading_ = true;
    wait_to_read();
}

void broker_connection::flush_soon() {
    loop_.flush_soon(shared_from_this());
}

void broker_connection::close_soon(reason_code reason) {
    if (std::exchange(closing_, true)) return;
    stream_->set_end_reason(reason);
    reading_ = false;
    linger_timer_.emplace(loop_.context(), linger_time);
    linger_timer_->async_wait([self = weak_from_this()](const error_code& error) {
        const auto connection = self.lock();
        if (!error && connection) connection->close();
    });
    flush_soon();
}

void broker_connection::flush() {
    if (!stream_->is_open()) return;
    client_->flush_requested = false;
    if (waiting_to_flush_ || send_is_shut_) return;
    const io_result sent = write_queue(*stream_, client_->connection.output());
    if (sent.status == io_status::failed) {
        close();
        return;
    }
    if (sent.size > 0 && !broker_knows_) core_.output_sent(*client_, sent.size);
    if (sent.status != io_status::done) {
        wait_to_flush(sent.status);
    } else if (closing_ && client_->connection.output().empty()) {
        linger();  // output_sent() may have added some, to be flushed by then
    }
}

void broker_connection::wait_to_flush(io_status wanted) {
    waiting_to_flush_ = true;
    stream_->wait(wanted, [self = shared_from_this()](const error_code& error) {
        self->waiting_to_flush_ = false;
        if (!error) self->flush();
    });
}

// Closing a socket that holds unread input resets the connection, and the peer might lose what
// it was sent last. So: end our side, and read until the peer has ended its own.
void broker_connection::linger() {
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

void broker_connection::tell_broker() {
    if (!std::exchange(broker_knows_, true)) core_.closed(*client_, loop_.now());
}

void broker_connection::close() {
    if (!stream_->is_open()) return;
    stream_->close();
    // The broker may ask to close a connection that is closed; that must find nothing to do.
    closing_ = true;
    tell_broker();
    linger_timer_.reset();
    on_closed_(client_->peer, problem_.empty() ? stream_->problem() : problem_);
}

}  // namespace amqtt
