// The certificate that one side of TLS connections shows, with the chain of its authorities.
#pragma once

#include <string>
#include <vector>

#include "tls/tls_objects.hpp"

namespace amqtt {

struct tls_own_certificate {
    std::string text;  // names the file in errors
    openssl_ptr<X509> own;
    openssl_ptr<EVP_PKEY> key;
    // Who issued it, and who issued that, without a root: what the file has behind the certificate,
    // and what was missing there and is among the authorities.
    openssl_ptr<STACK_OF(X509)> chain;
    // When the chain does not end at a root: what is missing.
    std::string gap;

    // Reads the PEM files; authorities: where certificates are looked for that certfile does not
    // have. Throws tls_settings_error.
    static tls_own_certificate load(const std::string& certfile, const std::string& keyfile,
                                    X509_STORE* authorities);

    // Those of the chain that are not valid now, as sentences.
    std::vector<std::string> invalid_now() const;
};

}  // namespace amqtt
