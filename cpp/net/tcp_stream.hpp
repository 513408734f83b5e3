// A socket without encryption or framing: TCP or Unix.
#pragma once

#include "net/stream.hpp"

namespace amqtt {

class tcp_stream final : public stream {
  public:
    // Makes the connected socket non-blocking and without Nagle's delay.
    explicit tcp_stream(stream_socket socket);

    io_result read(std::span<std::uint8_t> buffer) override;
    io_result write(std::span<const bytes_view> slices) override;
    bool is_at_end() override;
    io_status shutdown_send() override;
    stream_socket& socket() noexcept override { return socket_; }

  private:
    stream_socket socket_;
};

// What every kind of stream needs of its socket.
void prepare(stream_socket& socket) noexcept;
io_result receive_some(stream_socket& socket, std::span<std::uint8_t> buffer) noexcept;
// The same, and leaves it there to be read.
io_result peek_some(stream_socket& socket, std::span<std::uint8_t> buffer) noexcept;
// Gives the connection to a socket of another thread; both are closed if the system refuses.
error_code hand_over(stream_socket& from, stream_socket& to) noexcept;
void shutdown_send_of(stream_socket& socket) noexcept;

}  // namespace amqtt
