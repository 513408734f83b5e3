#include "transport/tcp_stream.hpp"

#include <array>
#include <cerrno>

#include <sys/socket.h>
#include <sys/uio.h>

namespace amqtt {
namespace {

error_code last_error() noexcept {
    return {errno, boost::system::system_category()};
}

bool would_block() noexcept {
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

}  // namespace

tcp_stream::tcp_stream(tcp::socket socket) : socket_(std::move(socket)) {
    error_code ignored;  // a socket the peer has reset already fails on the first read
    socket_.non_blocking(true, ignored);
    socket_.set_option(tcp::no_delay(true), ignored);
}

read_result tcp_stream::read(std::span<std::uint8_t> buffer) {
    while (true) {
        const ssize_t n = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), 0);
        if (n >= 0) return {io_status::done, static_cast<std::size_t>(n), {}};
        if (errno == EINTR) continue;
        if (would_block()) return {io_status::blocked, 0, {}};
        return {io_status::failed, 0, last_error()};
    }
}

io_status tcp_stream::write(output_queue& out, std::size_t& sent, error_code& error) {
    sent = 0;
    std::array<bytes_view, 64> slices;
    std::array<iovec, 64> vectors;
    while (!out.empty()) {
        const std::size_t count = out.gather(slices);
        for (std::size_t i = 0; i < count; ++i) {
            // sendmsg() only reads; its interface predates const.
            vectors[i] = {const_cast<std::uint8_t*>(slices[i].data()), slices[i].size()};
        }
        msghdr message{};
        message.msg_iov = vectors.data();
        message.msg_iovlen = count;
        const ssize_t n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (would_block()) return io_status::blocked;
            error = last_error();
            return io_status::failed;
        }
        out.consume(static_cast<std::size_t>(n));
        sent += static_cast<std::size_t>(n);
    }
    return io_status::done;
}

void tcp_stream::shutdown_send() noexcept {
    error_code ignored;  // the peer may be gone already
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

void tcp_stream::close() noexcept {
    error_code ignored;  // nothing could be done about it
    socket_.close(ignored);
}

}  // namespace amqtt
