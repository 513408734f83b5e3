// What all TLS connections of one listener share: certificates, keys, trusted authorities, limits.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <openssl/types.h>

#include "tls/tls_certificates.hpp"
#include "tls/tls_psk.hpp"
#include "tls/tls_psk_choice.hpp"
#include "tls/tls_psk_handshake.hpp"
#include "tls/tls_settings.hpp"

namespace amqtt {

// Does not change once it is made; its sessions must not outlive it.
class tls_context {
  public:
    // Reads the files. Throws tls_settings_error.
    explicit tls_context(const tls_settings& settings);
    ~tls_context();
    tls_context(const tls_context&) = delete;
    tls_context& operator=(const tls_context&) = delete;

    // A server's side of a connection on an open socket; the caller owns it, and psk for as
    // long. Null when there is no memory.
    SSL* new_session(int socket, psk_handshake& psk) const noexcept;

    // Whether sessions may want keys that plugins have.
    bool asks_plugins() const noexcept { return asks_plugins_; }

    // For people, sentences that name the file: what keeps peers from connecting now, as a
    // certificate that has expired, and what may keep some from it, as a chain that is incomplete.
    const std::vector<std::string>& warnings() const noexcept { return warnings_; }
    std::vector<std::string> hints() const { return certificates_.gaps(); }

    // Of a session whose handshake is complete: the pre-shared key it began with, or the session
    // did that it resumes. Empty if it began with a certificate.
    static std::string psk_identity_of(SSL* session);

  private:
    bool has_keys() const noexcept { return asks_plugins_ || keys_.size() > 0; }
    void load_authorities(const tls_settings& settings);
    void set_limits(const tls_settings& settings);
    void set_ciphers(const std::string& names);
    void set_callbacks();

    // Called by OpenSSL.
    static int hello_received(SSL* session, int* alert, void* self);
    static int name_received(SSL* session, int* alert, void* self);
    static int select_protocol(SSL* session, const unsigned char** chosen, unsigned char* size,
                               const unsigned char* offered, unsigned int offered_size, void* self);
    static unsigned int find_key(SSL* session, const char* identity, unsigned char* key,
                                 unsigned int room);
    static int ticket_made(SSL* session, void* self);

    struct free_context {
        void operator()(SSL_CTX* context) const noexcept;
    };

    tls_certificates certificates_;
    psk_table keys_;
    bool asks_plugins_;
    psk_choice key_choice_;  // with certificates and keys
    std::unique_ptr<SSL_CTX, free_context> context_;
    std::vector<std::string> warnings_;
    std::string protocol_;  // as ALPN writes it: the length before the name
};

}  // namespace amqtt
