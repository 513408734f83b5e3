// The half of a client's connection that has its socket: reads, writes, and closes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/lazy_ptr.hpp"
#include "base/output_queue.hpp"
#include "base/reason_code.hpp"
#include "net/proxy_header.hpp"
#include "net/reactor.hpp"
#include "net/stream.hpp"

namespace amqtt {

// The other half has the broker's client (client_endpoint.hpp). What that is told is virtual here.
// Lives as long as an operation on its socket is pending. Belongs to the thread of its reactor.
class socket_endpoint : public flushable, public std::enable_shared_from_this<socket_endpoint> {
  public:
    socket_endpoint(reactor& loop, std::unique_ptr<stream> peer_stream, bool behind_proxy);

    void start();
    // Writes what there is of output, now.
    void flush() override;
    void flush_failed() noexcept override { fail(); }
    // Closes at once, whatever is still to be sent.
    void close();
    // Writes what can be written at once, and closes so that the peer can read it.
    void finish();

  protected:
    // -- what the other half wants

    void flush_output() { loop_.flush_soon(shared_from_this()); }
    // Closes when the output is sent. The peer may be told why.
    void close_after_output(reason_code reason);
    void stop_reading();
    void go_on_reading();
    // Reads until there is nothing more, or no more is to be read. all_read() follows, unless
    // peer_ended() or socket_closed() does.
    void catch_up();
    bool is_reading() const noexcept { return reading_; }
    void give_key(bytes_view key);

    // -- what the other half is told

    // Where to read to; empty: not now, go_on_reading() follows.
    virtual std::span<std::uint8_t> input_buffer() = 0;
    // Some of that was filled. False: read no more until go_on_reading().
    virtual bool input_read(bytes_view input) = 0;
    // The answer to catch_up().
    virtual void all_read() = 0;
    // What there is to write; empty when it was taken over by the socket.
    virtual output_queue& output() = 0;
    virtual void output_written(std::size_t size) = 0;
    // A proxy says that this is who is connected.
    virtual void peer_found(std::string address, std::uint16_t port) = 0;
    // Before the first input.
    virtual void handshake_done(std::shared_ptr<const tls_peer> tls) = 0;
    // give_key() must follow.
    virtual void key_wanted(std::string_view identity) = 0;
    // The peer has ended the conversation, and is told the same before the socket is closed.
    virtual void peer_ended() = 0;
    // The peer sends nothing more; close() is to follow when it was answered.
    virtual void peer_left() = 0;
    // The last of all. problem: what the peer did wrong below MQTT; empty: nothing.
    virtual void socket_closed(const std::string& problem) = 0;

    reactor& loop() noexcept { return loop_; }
    bool is_open() noexcept { return stream_->is_open(); }

  private:
    // Runs f; if that throws, closes the connection.
    template <class F>
    void guard(F&& f) noexcept {
        if (!loop_.attempt(std::forward<F>(f))) fail();
    }
    void fail() noexcept;
    void wait_to_read(io_status wanted = io_status::want_read);
    void wait_to_flush(io_status wanted);
    void on_readable();
    void tell_all_read();
    // Reads the header of the PROXY protocol. True when it is complete.
    bool read_proxy_header();
    void tell_tls();
    void write(output_queue& out);
    void discard(output_queue& out);
    void linger();
    // Closes in a while if that has not happened by then.
    void bound_closing();

    reactor& loop_;
    std::unique_ptr<stream> stream_;
    std::unique_ptr<proxy_header> proxy_header_;        // until it is complete
    lazy_ptr<std::string> problem_;                     // what was wrong with it
    std::unique_ptr<asio::steady_timer> linger_timer_;  // bounds the time a close may take
    bool waiting_to_read_ = false;
    bool waiting_to_flush_ = false;
    bool reading_ = true;
    bool is_catching_up_ = false;
    bool tls_told_ = false;
    bool closing_ = false;
    bool send_is_shut_ = false;
};

}  // namespace amqtt
