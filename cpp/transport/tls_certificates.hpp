// The broker's own certificates, and which of them is for which host name.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "transport/tls_objects.hpp"
#include "transport/tls_settings.hpp"

namespace amqtt {

class tls_certificates {
  public:
    // Reads the files. Throws tls_settings_error.
    explicit tls_certificates(const std::vector<tls_certificate_files>& files);

    bool empty() const noexcept { return all_.empty(); }

    // Makes the first certificate the one of all sessions that choose() does not change.
    void install_default(SSL_CTX* context) const;

    // Gives a session the certificates of a host name: those of all key types when there are
    // several. False if no certificate is for it, and the session stays as it is.
    bool choose(SSL* session, std::string_view hostname) const;

  private:
    struct certificate {
        std::string text;  // names the file in errors
        openssl_ptr<X509> own;
        openssl_ptr<EVP_PKEY> key;
        openssl_ptr<STACK_OF(X509)> chain;
    };

    static certificate load(const tls_certificate_files& files);
    void add_names(std::size_t index, const tls_certificate_files& files);
    void add_name(std::size_t index, std::string_view name);

    std::vector<certificate> all_;
    boost::unordered_flat_map<std::string, std::vector<std::size_t>> by_name_;
};

}  // namespace amqtt
