// What TLS connections of clients with the same settings share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <openssl/types.h>

namespace amqtt {

// Texts are empty for what is not set.
struct client_tls_settings {
    // Whom the server's certificate must come from. With none of them: default_cafile and
    // default_capath, as far as they exist.
    std::string cafile;
    std::string capath;
    std::string cadata;  // PEM
    std::string default_cafile;
    std::string default_capath;
    std::string crlfile;  // PEM: which of them are revoked
    // The client's own, PEM: the certificate, then those between it and the authority's.
    std::string certfile;
    std::string keyfile;
    bool check_hostname = true;
    bool verify = true;
    std::string protocol;  // the one of ALPN
};

// Does not change once it is made.
class client_tls_context {
  public:
    // Reads the files, which may take long. Throws tls_settings_error.
    explicit client_tls_context(const client_tls_settings& settings);
    client_tls_context(const client_tls_context&) = delete;
    client_tls_context& operator=(const client_tls_context&) = delete;

    // A client's side of a connection on an open socket to a server of that name, or address; the
    // caller owns it. Null when there is no memory.
    SSL* new_session(int socket, const std::string& host) const noexcept;

    // For people, sentences that name the file: what keeps the client from connecting now.
    const std::vector<std::string>& warnings() const noexcept { return warnings_; }

  private:
    void load_authorities(const client_tls_settings& settings);
    void load_own_certificate(const client_tls_settings& settings);
    void set_limits();

    struct free_context {
        void operator()(SSL_CTX* context) const noexcept;
    };

    std::unique_ptr<SSL_CTX, free_context> context_;
    std::vector<std::string> warnings_;
    bool check_hostname_;
    bool verify_;
    std::string protocol_;  // as ALPN writes it: the length before the name
};

}  // namespace amqtt
