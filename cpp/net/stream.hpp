// How the bytes of one connection travel: plain, encrypted, or in WebSocket frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/output_queue.hpp"
#include "base/reason_code.hpp"
#include "base/tls_peer.hpp"
#include "net/asio.hpp"

namespace amqtt {

using stream_socket = socket_of<asio::generic::stream_protocol>;

enum class io_status : std::uint8_t {
    done,
    want_read,   // nothing to be had before the socket is readable
    want_write,  // nothing to be had before the socket is writable
    want_key,    // reading only: nothing to be had before answer_key(), see key_question()
    ended,       // reading only: the conversation is over, say so by shutdown_send()
    failed,
};

struct io_result {
    io_status status = io_status::done;
    std::size_t size = 0;  // of a read, 0 with done: the peer has closed its side
    error_code error;
};

// A connected, non-blocking stream. Waits by Asio, reads and writes without it.
class stream {
  public:
    virtual ~stream() = default;
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;

    virtual io_result read(std::span<std::uint8_t> buffer) = 0;
    // Sends some of the slices. What was not sent must come first in the next call, too.
    virtual io_result write(std::span<const bytes_view> slices) = 0;

    // There is input that waiting for readability would not tell of.
    virtual bool has_input() const noexcept { return false; }
    // There is output of the stream itself; write() sends it, with or without slices.
    virtual bool has_output() const noexcept { return false; }

    // The peer has ended its side, all that it has sent was read, and there is nothing to tell it
    // about the end: the socket may be closed as it is. False: not, or not known.
    virtual bool is_at_end() { return false; }

    // Why shutdown_send() will be called, for streams that can tell the peer.
    virtual void set_end_reason(reason_code) {}
    // Tells the peer that nothing more will come. To be repeated when it could not be told yet.
    virtual io_status shutdown_send() = 0;
    // What the peer did wrong below MQTT, for the log; empty when nothing.
    virtual std::string problem() const { return {}; }
    // What the handshake of TLS has proven; nullptr before it is complete, and without TLS.
    virtual std::shared_ptr<const tls_peer> tls() const { return nullptr; }

    // Of whom a pre-shared key is wanted while read() reports want_key.
    virtual std::string_view key_question() const { return {}; }
    // The key, empty for none. The next read() goes on.
    virtual void answer_key(bytes_view) {}

    template <class Handler>
    void wait(io_status wanted, Handler&& handler) {
        const auto what =
            wanted == io_status::want_write ? stream_socket::wait_write : stream_socket::wait_read;
        socket().async_wait(what, std::forward<Handler>(handler));
    }

    // For waiting and closing only.
    virtual stream_socket& socket() noexcept = 0;

    void close() noexcept;
    bool is_open() noexcept { return socket().is_open(); }

  protected:
    stream() = default;
};

// Sends as much of out as goes now; size counts its bytes.
io_result write_queue(stream& to, output_queue& out);

}  // namespace amqtt
