#include "net/descriptors.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace amqtt {
namespace {

error_code last_error() noexcept {
    return {errno, boost::system::system_category()};
}

#ifndef SOCK_CLOEXEC
// For systems that cannot do it in one step.
int made_private(int descriptor) noexcept {
    if (descriptor >= 0) ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return descriptor;
}
#endif

}  // namespace

int open_socket(int family, int protocol, error_code& error) noexcept {
#ifdef SOCK_CLOEXEC
    const int opened = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol);
#else
    const int opened = made_private(::socket(family, SOCK_STREAM, protocol));
#endif
    error = opened < 0 ? last_error() : error_code();
    return opened;
}

int accept_socket(int listening, asio::generic::stream_protocol::endpoint& peer,
                  error_code& error) noexcept {
    while (true) {
        auto size = static_cast<socklen_t>(peer.capacity());
#ifdef SOCK_CLOEXEC
        const int accepted = ::accept4(listening, peer.data(), &size, SOCK_CLOEXEC);
#else
        const int accepted = made_private(::accept(listening, peer.data(), &size));
#endif
        if (accepted < 0 && errno == EINTR) continue;
        error = accepted < 0 ? last_error() : error_code();
        if (accepted >= 0) peer.resize(size);
        return accepted;
    }
}

void close_descriptor(int descriptor) noexcept {
    ::close(descriptor);
}

}  // namespace amqtt
