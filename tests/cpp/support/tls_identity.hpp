// Certificates and keys that are made for a test.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "tls/tls_objects.hpp"

namespace amqtt::test {

struct free_tls {
    void operator()(FILE* object) const noexcept { (void)std::fclose(object); }
    void operator()(SSL* object) const noexcept { SSL_free(object); }
    void operator()(SSL_CTX* object) const noexcept { SSL_CTX_free(object); }
    void operator()(SSL_SESSION* object) const noexcept { SSL_SESSION_free(object); }
};
template <class T>
using owned = std::unique_ptr<T, free_tls>;

struct identity {
    openssl_ptr<X509> certificate;
    openssl_ptr<EVP_PKEY> key;
};

// A certificate that is its own authority.
inline identity make_identity(const char* name) {
    identity made{openssl_ptr<X509>(X509_new()), openssl_ptr<EVP_PKEY>(EVP_EC_gen("P-256"))};
    X509* const x = made.certificate.get();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, made.key.get());
    X509_sign(x, made.key.get(), EVP_sha256());
    return made;
}

inline void write_certificate(const std::string& path, const identity& who) {
    const owned<FILE> file(std::fopen(path.c_str(), "w"));
    PEM_write_X509(file.get(), who.certificate.get());
}

inline void write_key(const std::string& path, const identity& who) {
    const owned<FILE> file(std::fopen(path.c_str(), "w"));
    PEM_write_PrivateKey(file.get(), who.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
}

}  // namespace amqtt::test
