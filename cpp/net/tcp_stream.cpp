#include "net/tcp_stream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <sys/uio.h>

#include "net/descriptors.hpp"

namespace amqtt {
namespace {

constexpr std::size_t slices_at_once = 66;  // those of write_queue() and a header or two

error_code last_error() noexcept {
    return {errno, boost::system::system_category()};
}

bool would_block() noexcept {
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

io_result receive(stream_socket& socket, std::span<std::uint8_t> buffer, int flags) noexcept {
    while (true) {
        const ssize_t n = ::recv(socket.native_handle(), buffer.data(), buffer.size(), flags);
        if (n >= 0) return {io_status::done, static_cast<std::size_t>(n), {}};
        if (errno == EINTR) continue;
        if (would_block()) return {io_status::want_read, 0, {}};
        return {io_status::failed, 0, last_error()};
    }
}

}  // namespace

void prepare(stream_socket& socket) noexcept {
    error_code ignored;  // a socket the peer has reset already fails on the first read
    socket.non_blocking(true, ignored);
    socket.set_option(tcp::no_delay(true), ignored);  // not for Unix sockets, which have no delay
}

io_result receive_some(stream_socket& socket, std::span<std::uint8_t> buffer) noexcept {
    return receive(socket, buffer, 0);
}

io_result peek_some(stream_socket& socket, std::span<std::uint8_t> buffer) noexcept {
    return receive(socket, buffer, MSG_PEEK);
}

error_code hand_over(stream_socket& from, stream_socket& to) noexcept {
    error_code error;
    const auto protocol = from.local_endpoint(error).protocol();
    const int descriptor = error ? -1 : from.release(error);
    if (error) {
        error_code ignored;
        from.close(ignored);
        return error;
    }
    assign_or_close(to, protocol, descriptor, error);
    return error;
}

void shutdown_send_of(stream_socket& socket) noexcept {
    error_code ignored;  // the peer may be gone already
    socket.shutdown(stream_socket::shutdown_send, ignored);
}

tcp_stream::tcp_stream(stream_socket socket) : socket_(std::move(socket)) {
    prepare(socket_);
}

io_result tcp_stream::read(std::span<std::uint8_t> buffer) {
    return receive_some(socket_, buffer);
}

io_result tcp_stream::write(std::span<const bytes_view> slices) {
    std::array<iovec, slices_at_once> vectors;
    const std::size_t count = std::min(slices.size(), vectors.size());
    for (std::size_t i = 0; i < count; ++i) {
        // sendmsg() only reads; its interface predates const.
        vectors[i] = {const_cast<std::uint8_t*>(slices[i].data()), slices[i].size()};
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    while (true) {
        const ssize_t n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
        if (n >= 0) return {io_status::done, static_cast<std::size_t>(n), {}};
        if (errno == EINTR) continue;
        if (would_block()) return {io_status::want_write, 0, {}};
        return {io_status::failed, 0, last_error()};
    }
}

bool tcp_stream::is_at_end() {
    std::uint8_t next = 0;
    const io_result seen = peek_some(socket_, {&next, 1});
    return seen.status == io_status::done && seen.size == 0;
}

io_status tcp_stream::shutdown_send() {
    shutdown_send_of(socket_);
    return io_status::done;
}

}  // namespace amqtt
