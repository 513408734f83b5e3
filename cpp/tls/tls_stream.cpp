#include "tls/tls_stream.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

#include <openssl/err.h>

#include "net/tcp_stream.hpp"
#include "tls/tls_objects.hpp"

namespace amqtt {

void tls_stream::free_session::operator()(SSL* session) const noexcept {
    SSL_free(session);
}

tls_stream::tls_stream(stream_socket socket, const std::shared_ptr<const tls_context>& context,
                       std::span<std::uint8_t> scratch)
    : context_(context),
      socket_(std::move(socket)),
      session_(context->new_session(socket_.native_handle(), psk_)),
      scratch_(scratch.first(record_size)),
      asks_plugins_(context->asks_plugins()),
      broken_(!session_) {
    prepare(socket_);
}

tls_stream::tls_stream(stream_socket socket,
                       const std::shared_ptr<const client_tls_context>& context,
                       const std::string& host, std::span<std::uint8_t> scratch)
    : context_(context),
      socket_(std::move(socket)),
      session_(context->new_session(socket_.native_handle(), host)),
      scratch_(scratch.first(record_size)),
      is_client_(true),
      broken_(!session_) {
    prepare(socket_);
}

tls_stream::~tls_stream() {
    if (psk_.question().empty() || !session_) return;
    // A suspended handshake has to come to its end, but on no socket: the number of ours may
    // be another connection's by now.
    psk_.give_up();
    SSL_set_bio(session_.get(), BIO_new(BIO_s_null()), BIO_new(BIO_s_null()));
    SSL_do_handshake(session_.get());
    ERR_clear_error();
}

io_result tls_stream::read(std::span<std::uint8_t> buffer) {
    if (broken_) return discard(buffer);
    open_ = open_ || SSL_is_init_finished(session_.get()) == 1;
    more_input_ = true;
    // By itself: a read that is suspended would keep its buffer, which is shared.
    if (!open_ && asks_plugins_) {
        const io_status status = shake_hands();
        if (status != io_status::done) return {status, 0, {}};
    }
    std::size_t size = 0;
    while (size < buffer.size()) {
        ERR_clear_error();
        std::size_t n = 0;
        const int result =
            SSL_read_ex(session_.get(), buffer.data() + size, buffer.size() - size, &n);
        if (result == 1) {
            open_ = true;
            size += n;
            continue;
        }
        const io_status status = status_of(result);
        if (status == io_status::want_read) more_input_ = false;
        if (size == 0) return {status, 0, {}};
        broken_ = false;  // first what came before the error, which the next call finds again
        break;
    }
    return {io_status::done, size, {}};
}

void tls_stream::move_to(reactor& other) {
    stream_socket moved(other.context());
    if (hand_over(socket_, moved)) broken_ = true;
    socket_ = std::move(moved);
    prepare(socket_);
    scratch_ = other.write_buffer().first(record_size);
}

io_status tls_stream::shake_hands() {
    if (broken_) return io_status::failed;
    more_input_ = true;  // behind it, perhaps
    ERR_clear_error();
    const int result = SSL_do_handshake(session_.get());
    if (result == 1) {
        SSL_clear_mode(session_.get(), SSL_MODE_ASYNC);
        open_ = true;
        return io_status::done;
    }
    const io_status status = status_of(result);
    if (status == io_status::want_read) more_input_ = false;
    return status;
}

// After an error the peer's input is of no interest, only its end.
io_result tls_stream::discard(std::span<std::uint8_t> buffer) {
    if (!session_ && problem_.empty()) return {io_status::failed, 0, {}};  // there never was one
    more_input_ = false;
    const io_result got = receive_some(socket_, buffer);
    return {got.size > 0 ? io_status::want_read : got.status, 0, got.error};
}

io_result tls_stream::write(std::span<const bytes_view> slices) {
    if (broken_) return {io_status::failed, 0, {}};
    if (slices.empty()) return {};
    const bool in_place = slices.size() == 1 || slices[0].size() >= record_size;
    const bytes_view data = in_place ? slices[0] : coalesce(slices);
    if (data.empty()) return {};
    ERR_clear_error();
    std::size_t n = 0;
    const int result = SSL_write_ex(session_.get(), data.data(), data.size(), &n);
    if (result == 1) return {io_status::done, n, {}};
    const io_status status = status_of(result);
    // That the peer has closed its side is no success here.
    const bool waits = status == io_status::want_read || status == io_status::want_write;
    return {waits ? status : io_status::failed, 0, {}};
}

bytes_view tls_stream::coalesce(std::span<const bytes_view> slices) const noexcept {
    std::size_t size = 0;
    for (const bytes_view slice : slices) {
        const std::size_t n = std::min(slice.size(), scratch_.size() - size);
        if (n > 0) std::memcpy(scratch_.data() + size, slice.data(), n);
        size += n;
    }
    return scratch_.first(size);
}

io_status tls_stream::status_of(int result) {
    switch (SSL_get_error(session_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return io_status::want_read;
        case SSL_ERROR_WANT_WRITE:
            return io_status::want_write;
        case SSL_ERROR_WANT_ASYNC:
            return io_status::want_key;
        case SSL_ERROR_ZERO_RETURN:
            return io_status::done;  // the peer's end, of size 0
        case SSL_ERROR_SYSCALL:
            broken_ = true;
            return io_status::failed;
        default:
            break;
    }
    broken_ = true;
    describe_failure();
    return io_status::ended;  // the peer was sent an alert and is to see it
}

void tls_stream::describe_failure() {
    const long verdict = SSL_get_verify_result(session_.get());
    const std::string reason = take_tls_error();
    if (!problem_.empty() || (open_ && !is_client_)) return;
    const std::string doubt =
        verdict == X509_V_OK ? std::string() : X509_verify_cert_error_string(verdict);
    if (is_client_) {
        // As Python's ssl module writes it, which applications look for.
        std::string name = reason;
        for (char& c : name)
            c = c == ' ' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        problem_ = "[SSL: " + name + "] " + reason;
        if (!doubt.empty()) problem_ += ": " + doubt;
    } else {
        problem_ = "TLS handshake failed: " + reason;
        if (!doubt.empty()) problem_ += " (" + doubt + ")";
    }
    if (!open_) session_.reset();  // a stranger's, who may take his time to close, and not small
}

std::shared_ptr<const tls_peer> tls_stream::tls() const {
    if (!session_ || SSL_is_init_finished(session_.get()) != 1) return nullptr;
    auto peer = std::make_shared<tls_peer>();
    peer->version = SSL_get_version(session_.get());
    peer->cipher = SSL_get_cipher_name(session_.get());
    peer->psk_identity = tls_context::psk_identity_of(session_.get());
    X509* const certificate = SSL_get0_peer_certificate(session_.get());
    if (certificate && SSL_get_verify_result(session_.get()) == X509_V_OK) {
        unsigned char* der = nullptr;
        const int size = i2d_X509(certificate, &der);
        if (size > 0) peer->certificate.assign(der, der + size);
        OPENSSL_free(der);
    }
    return peer;
}

io_status tls_stream::shutdown_send() {
    if (!broken_ && SSL_is_init_finished(session_.get()) == 1) {
        ERR_clear_error();
        const int result = SSL_shutdown(session_.get());
        if (result < 0) {
            const io_status status = status_of(result);
            if (status == io_status::want_write) return status;
        }
    }
    shutdown_send_of(socket_);
    return io_status::done;
}

}  // namespace amqtt
