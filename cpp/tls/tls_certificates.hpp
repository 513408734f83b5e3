// The broker's own certificates, and which of them is for which host name.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "tls/tls_own_certificate.hpp"
#include "tls/tls_settings.hpp"

namespace amqtt {

class tls_certificates {
  public:
    tls_certificates() = default;
    // Reads the files; certificates that a chain lacks are looked for among the authorities. Throws
    // tls_settings_error.
    tls_certificates(const std::vector<tls_certificate_files>& files, X509_STORE* authorities);

    bool empty() const noexcept { return all_.empty(); }

    // For people: which of them are not valid now, and which chains do not end at a root.
    std::vector<std::string> invalid_now() const;
    std::vector<std::string> gaps() const;

    // Makes the first certificate the one of all sessions that choose() does not change.
    void install_default(SSL_CTX* context) const;

    // Gives a session the certificates of a host name: those of all key types when there are
    // several. False if no certificate is for it, and the session stays as it is.
    bool choose(SSL* session, std::string_view hostname) const;

  private:
    void add_names(std::size_t index, const tls_certificate_files& files);
    void add_name(std::size_t index, std::string_view name);

    std::vector<tls_own_certificate> all_;
    boost::unordered_flat_map<std::string, std::vector<std::size_t>> by_name_;
};

}  // namespace amqtt
