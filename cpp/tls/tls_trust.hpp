// Which certificates of peers a TLS context accepts.
#pragma once

#include <string>
#include <vector>

#include <openssl/types.h>

namespace amqtt {

// Texts are empty for what is not set.
struct tls_authorities {
    std::string cafile;
    std::string capath;
    std::string cadata;  // PEM

    bool empty() const noexcept { return cafile.empty() && capath.empty() && cadata.empty(); }
};

// Adds authorities to those that a context trusts. Throws tls_settings_error.
void trust(SSL_CTX* context, const tls_authorities& authorities);

// Adds the revocation lists of a PEM file and has every certificate of a peer's chain looked up in
// the list of its authority. The peer's own certificate is refused when there is none; authorities
// between it and the root, for which few publish lists, are not. Throws tls_settings_error.
//
// Returns warnings: lists that have expired, with which their authority's certificates are refused.
std::vector<std::string> check_revocations(SSL_CTX* context, const std::string& path);

// What OpenSSL is to call at the end of each check of a certificate, so that check_revocations()
// works as described.
int excuse_missing_lists(int accepted, X509_STORE_CTX* check) noexcept;

}  // namespace amqtt
