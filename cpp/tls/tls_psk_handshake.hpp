// The pre-shared key of one TLS session: whose it is, and how it is asked for.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "tls/tls_psk.hpp"

namespace amqtt {

// OpenSSL wants the key at once. Where plugins have it, the handshake runs as a job of OpenSSL's
// (ASYNC_start_job(3)), which is suspended until there is an answer.
class psk_handshake {
  public:
    psk_handshake() = default;
    ~psk_handshake();
    psk_handshake(const psk_handshake&) = delete;
    psk_handshake& operator=(const psk_handshake&) = delete;

    // Whether this library can suspend a handshake.
    static bool can_ask() noexcept;

    // Called by OpenSSL, within the job: suspends it and returns the answer. Empty: there is no
    // such key, or it cannot be asked for.
    const psk_table::key& ask(std::string_view identity);
    void began_with(std::string_view identity) { identity_ = identity; }
    // Of the key that the session began with; empty: none.
    const std::string& identity() const noexcept { return identity_; }

    // Whom to ask about, while the handshake is suspended; else empty.
    std::string_view question() const noexcept {
        return is_waiting_ ? std::string_view(asked_) : std::string_view();
    }
    // The key, empty for none; then the handshake may go on.
    void answer(bytes_view key);
    // Nothing is asked for any more, what waits is refused.
    void give_up() noexcept { may_ask_ = false; }

  private:
    std::string identity_;
    std::string asked_;
    psk_table::key answer_;  // to asked_
    bool is_waiting_ = false;
    bool may_ask_ = true;
};

// Whether a client may have meant this as a name: tickets of earlier sessions stand in the same
// place.
bool is_identity(std::string_view text) noexcept;

}  // namespace amqtt
