// Sockets that programs which the application starts do not inherit.
//
// Asio opens and accepts sockets without the flag for that, and to set it afterwards would be too
// late for a program that another thread starts in between.
#pragma once

#include <new>

#include "net/asio.hpp"

namespace amqtt {

// A new stream socket, or -1 and an error.
int open_socket(int family, int protocol, error_code& error) noexcept;

// The next connection of a listening socket, or -1 and an error. Neither waits.
int accept_socket(int listening, asio::generic::stream_protocol::endpoint& peer,
                  error_code& error) noexcept;

void close_descriptor(int descriptor) noexcept;

// The socket owns the descriptor from here on; on an error, that there is no memory included, it is
// closed.
template <class Socket, class Protocol>
void assign_or_close(Socket& socket, const Protocol& protocol, int descriptor,
                     error_code& error) noexcept {
    try {
        socket.assign(protocol, descriptor, error);
    } catch (const std::bad_alloc&) {
        error = asio::error::no_memory;
    }
    if (error) close_descriptor(descriptor);
}

// Opens a socket or acceptor of Asio.
template <class Socket, class Protocol>
void open_private(Socket& socket, const Protocol& protocol, error_code& error) {
    const int descriptor = open_socket(protocol.family(), protocol.protocol(), error);
    if (error) return;
    assign_or_close(socket, protocol, descriptor, error);
}

}  // namespace amqtt
