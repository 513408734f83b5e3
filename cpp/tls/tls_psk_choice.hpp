// Which clients of a listener that has certificates and pre-shared keys get on with a key.
#pragma once

#include <string>

#include <openssl/types.h>

#include "base/bytes.hpp"
#include "tls/tls_psk.hpp"

namespace amqtt {

// OpenSSL chooses the cipher suite without regard to a key the client has: it would mostly choose
// one with a certificate. So the session's list is narrowed or put in another order, where the
// ClientHello shows that there is a key.
class psk_choice {
  public:
    psk_choice() = default;
    // Takes the suites that the context allows, now.
    explicit psk_choice(const SSL_CTX* context);

    // To be called with the ClientHello of a session; any_identity: each may have a key. False
    // if there is no memory.
    bool apply(SSL* session, const psk_table& keys, bool any_identity) const;

  private:
    std::string key_suites_first_;  // TLS 1.2
    std::string sha256_suites_;     // TLS 1.3: those that a key of unknown hash may go with
};

// Whether the value of the extension pre_shared_key (RFC 8446, 4.2.11) has the identity of a key;
// any_identity: of one that may have a key. Tickets of earlier sessions stand in the same place.
bool names_a_key(bytes_view extension, const psk_table& keys, bool any_identity = false);

}  // namespace amqtt
