// What all TLS connections of one listener share: certificate, trusted authorities, limits.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include <openssl/types.h>

namespace amqtt {

// Texts are empty for what is not set.
struct tls_settings {
    std::string certfile;  // PEM: the certificate, then those between it and the authority's
    std::string keyfile;   // PEM, not encrypted
    // Whom client certificates must come from.
    std::string cafile;
    std::string capath;
    std::string cadata;
    std::string min_version = "1.2";  // or "1.3"
    std::string ciphers;              // OpenSSL's names, separated by ':'
    bool require_client_certificate = false;
    std::string protocol = "mqtt";  // the one of ALPN
};

// Something is wrong with the settings; the text names the file.
class tls_settings_error : public std::invalid_argument {
  public:
    using std::invalid_argument::invalid_argument;
};

class tls_context {
  public:
    // Throws tls_settings_error.
    explicit tls_context(const tls_settings& settings);
    ~tls_context();
    tls_context(const tls_context&) = delete;
    tls_context& operator=(const tls_context&) = delete;

    // A server's side of a connection on an open socket; the caller owns it. Null when there is
    // no memory.
    SSL* new_session(int socket) const noexcept;

  private:
    void load_certificate(const tls_settings& settings);
    void load_authorities(const tls_settings& settings);
    void add_authorities(const std::string& pem);
    void set_limits(const tls_settings& settings);
    void set_ciphers(const std::string& names);

    struct free_context {
        void operator()(SSL_CTX* context) const noexcept;
    };

    std::unique_ptr<SSL_CTX, free_context> context_;
    std::string protocol_;  // as ALPN writes it: the length before the name
};

// The oldest entry of OpenSSL's error queue of this thread as a text; empties the queue.
std::string take_tls_error();

}  // namespace amqtt
