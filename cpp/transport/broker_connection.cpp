#include "transport/broker_connection.hpp"

#include <utility>

namespace amqtt {
namespace {

// Reads of one connection before the others get their turn.
constexpr int reads_per_turn = 4;
// How long a peer may take to receive the last bytes and to close its side.
constexpr auto linger_time = std::chrono::seconds(5);

}  // namespace

broker_connection::broker_connection(reactor& loop, broker& core, tcp::socket socket)
    : loop_(loop), core_(core), stream_(std::move(socket)) {}

void broker_connection::start(peer_info peer, std::function<void()> on_closed) {
    on_closed_ = std::move(on_closed);
    client_ = core_.open(*this, std::move(peer), loop_.now());
    wait_readable();
}

void broker_connection::wait_readable() {
    if (waiting_readable_) return;
    waiting_readable_ = true;
    stream_.wait_readable([self = shared_from_this()](const error_code& error) {
        self->waiting_readable_ = false;
        if (!error) self->on_readable();
    });
}

void broker_connection::on_readable() {
    for (int i = 0; i < reads_per_turn && (reading_ || send_is_shut_); ++i) {
        const auto buffer = loop_.read_buffer();
        const read_result got = stream_.read(buffer);
        if (got.status == io_status::blocked) break;
        if (got.status == io_status::failed || got.size == 0) {
            close();
            return;
        }
        if (send_is_shut_) continue;  // all that is of interest now is the peer's close
        reading_ = core_.receive(*client_, buffer.first(got.size), loop_.now());
        // Less than there was room for: the socket is empty, so save the call that finds out.
        if (got.size < buffer.size()) break;
    }
    if (reading_ || send_is_shut_) wait_readable();
}

void broker_connection::resume_reading() {
    reading_ = true;
    wait_readable();
}

void broker_connection::flush_soon() {
    loop_.flush_soon(shared_from_this());
}

void broker_connection::close_soon() {
    closing_ = true;
    reading_ = false;
    linger_timer_.emplace(loop_.context(), linger_time);
    linger_timer_->async_wait([self = weak_from_this()](const error_code& error) {
        const auto connection = self.lock();
        if (!error && connection) connection->close();
    });
    flush_soon();
}

void broker_connection::flush() {
    if (!stream_.is_open()) return;
    client_->flush_requested = false;
    if (waiting_writable_ || send_is_shut_) return;
    std::size_t sent = 0;
    error_code error;
    const io_status status = stream_.write(client_->connection.output(), sent, error);
    if (status == io_status::failed) {
        close();
        return;
    }
    if (sent > 0) core_.output_sent(*client_, sent);
    if (status == io_status::blocked) {
        waiting_writable_ = true;
        stream_.wait_writable([self = shared_from_this()](const error_code& failure) {
            self->waiting_writable_ = false;
            if (!failure) self->flush();
        });
    } else if (closing_) {
        linger();
    }
}

// Closing a socket that holds unread input resets the connection, and the peer might lose what
// it was sent last. So: end our side, and read until the peer has ended its own.
void broker_connection::linger() {
    send_is_shut_ = true;
    stream_.shutdown_send();
    wait_readable();
}

void broker_connection::close() {
    if (!stream_.is_open()) return;
    stream_.close();
    linger_timer_.reset();
    // The broker may ask to close a connection that is closed; that must find nothing to do.
    core_.closed(*client_, loop_.now());
    linger_timer_.reset();
    on_closed_();
}

}  // namespace amqtt
