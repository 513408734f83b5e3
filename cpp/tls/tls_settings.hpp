// How the TLS of one listener is configured.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace amqtt {

struct tls_certificate_files {
    std::string certfile;  // PEM: the certificate, then those between it and the authority's
    std::string keyfile;   // PEM, not encrypted
    // The host names it is for; empty: those in the certificate.
    std::vector<std::string> hostnames;
};

// Texts are empty for what is not set.
struct tls_settings {
    // The first is for clients that name no host, or one that no certificate is for. May be
    // empty when there is a file of pre-shared keys.
    std::vector<tls_certificate_files> certificates;
    std::string psk_file;      // a line for each pre-shared key: identity, ':', key in hexadecimal
    bool psk_plugins = false;  // plugins are asked for keys that the file does not have
    // Whom client certificates must come from.
    std::string cafile;
    std::string capath;
    std::string cadata;
    std::string crlfile;                      // PEM: which of them are revoked
    std::string min_version = "1.2";          // or "1.3"
    std::string ciphers;                      // OpenSSL's names, separated by ':'
    std::string groups;                       // of the key exchange, likewise
    bool request_client_certificate = true;   // one that is presented is checked
    bool require_client_certificate = false;  // requests it too
    std::string protocol = "mqtt";            // the one of ALPN
};

// Something is wrong with the settings; the text names the file.
class tls_settings_error : public std::invalid_argument {
  public:
    using std::invalid_argument::invalid_argument;
};

// Reads the files of a listener. Throws tls_settings_error; returns sentences about what can be
// used and yet keeps peers from connecting, as a certificate that has expired, or may do so.
std::vector<std::string> check_tls(const tls_settings& settings);

}  // namespace amqtt
