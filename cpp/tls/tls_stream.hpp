// One side of a TLS connection. OpenSSL works on the socket itself and keeps no buffers
// while the connection is idle.
#pragma once

#include <memory>

#include "net/reactor.hpp"
#include "net/stream.hpp"
#include "tls/client_tls_context.hpp"
#include "tls/tls_context.hpp"
#include "tls/tls_psk_handshake.hpp"

namespace amqtt {

class tls_stream final : public stream {
  public:
    // What fits in one record; room for that much must be given.
    static constexpr std::size_t record_size = 16 * 1024;

    // A server's side. scratch may be shared by the streams of one thread.
    tls_stream(stream_socket socket, const std::shared_ptr<const tls_context>& context,
               std::span<std::uint8_t> scratch);
    // A client's side, for a server of that name.
    tls_stream(stream_socket socket, const std::shared_ptr<const client_tls_context>& context,
               const std::string& host, std::span<std::uint8_t> scratch);
    ~tls_stream() override;

    // Goes on with the handshake, for those that want it before they read(); a plugin may have to
    // be asked for a key meanwhile. Any result but those that wait is the last one.
    io_status shake_hands();
    // Goes on to another thread, to be used by that from then on. Nothing may be pending.
    void move_to(reactor& other);

    io_result read(std::span<std::uint8_t> buffer) override;
    io_result write(std::span<const bytes_view> slices) override;
    bool has_input() const noexcept override { return more_input_; }
    io_status shutdown_send() override;
    std::string problem() const override { return problem_; }
    std::shared_ptr<const tls_peer> tls() const override;
    std::string_view key_question() const override { return psk_.question(); }
    void answer_key(bytes_view key) override { psk_.answer(key); }
    stream_socket& socket() noexcept override { return socket_; }

  private:
    void describe_failure();
    // What is to be done after an operation of OpenSSL that did not succeed.
    io_status status_of(int result);
    io_result discard(std::span<std::uint8_t> buffer);
    bytes_view coalesce(std::span<const bytes_view> slices) const noexcept;

    struct free_session {
        void operator()(SSL* session) const noexcept;
    };

    std::shared_ptr<const void> context_;  // another may have taken its place by now
    stream_socket socket_;
    psk_handshake psk_;
    std::unique_ptr<SSL, free_session> session_;
    std::span<std::uint8_t> scratch_;
    std::string problem_;
    bool more_input_ = false;  // reading stopped before OpenSSL had run dry
    bool open_ = false;        // the handshake is complete
    bool is_client_ = false;
    bool asks_plugins_ = false;
    bool broken_ = false;  // the peer was sent an alert, or OpenSSL cannot go on
};

}  // namespace amqtt
