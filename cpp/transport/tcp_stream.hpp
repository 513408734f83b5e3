// A connected, non-blocking TCP socket: waits by Asio, reads and writes by system call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/output_queue.hpp"
#include "transport/asio.hpp"

namespace amqtt {

enum class io_status : std::uint8_t { done, blocked, failed };

struct read_result {
    io_status status = io_status::done;
    std::size_t size = 0;  // 0 with done: the peer has closed its side
    error_code error;
};

class tcp_stream {
  public:
    // Makes the connected socket non-blocking and without Nagle's delay.
    explicit tcp_stream(tcp::socket socket);

    read_result read(std::span<std::uint8_t> buffer);
    // Sends as much of out as the system takes now; sent counts the bytes.
    io_status write(output_queue& out, std::size_t& sent, error_code& error);

    template <class Handler>
    void wait_readable(Handler&& handler) {
        socket_.async_wait(tcp::socket::wait_read, std::forward<Handler>(handler));
    }
    template <class Handler>
    void wait_writable(Handler&& handler) {
        socket_.async_wait(tcp::socket::wait_write, std::forward<Handler>(handler));
    }

    // Tells the peer that nothing more will come.
    void shutdown_send() noexcept;
    void close() noexcept;
    bool is_open() const noexcept { return socket_.is_open(); }

  private:
    tcp::socket socket_;
};

}  // namespace amqtt
