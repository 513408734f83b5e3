#include "tls/tls_own_certificate.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "tls/tls_settings.hpp"

namespace amqtt {
namespace {

// More are in no chain that a peer would accept.
constexpr int longest_chain = 16;

bool is_issued_by(X509* subject, X509* issuer) {
    return X509_check_issued(issuer, subject) == X509_V_OK &&
           X509_verify(subject, X509_get0_pubkey(issuer)) == 1;
}

X509* find_issuer(X509* subject, STACK_OF(X509) * among) {
    for (int i = 0; i < sk_X509_num(among); ++i) {
        X509* const each = sk_X509_value(among, i);
        if (each != subject && is_issued_by(subject, each)) return each;
    }
    return nullptr;
}

openssl_ptr<X509> find_issuer(X509* subject, X509_STORE_CTX* among) {
    X509* found = nullptr;
    if (X509_STORE_CTX_get1_issuer(&found, among, subject) != 1) return nullptr;
    openssl_ptr<X509> issuer(found);
    return is_issued_by(subject, found) ? std::move(issuer) : nullptr;
}

// Adds to the chain what is missing in it. Returns the certificate whose issuer was not found, or
// nullptr when the chain leads to a root.
X509* complete(X509* own, STACK_OF(X509) * chain, X509_STORE* authorities) {
    const openssl_ptr<X509_STORE_CTX> among(X509_STORE_CTX_new());
    if (!among || X509_STORE_CTX_init(among.get(), authorities, own, nullptr) != 1) return own;
    X509* last = own;
    for (int i = 0; i < longest_chain; ++i) {
        if (X509_self_signed(last, 0) == 1) return nullptr;
        X509* next = find_issuer(last, chain);
        if (!next) {
            openssl_ptr<X509> found = find_issuer(last, among.get());
            if (!found) return last;
            // Who does not have the root does not trust it either.
            if (X509_self_signed(found.get(), 0) == 1) return nullptr;
            if (sk_X509_push(chain, found.get()) == 0) return last;
            next = found.release();
        }
        last = next;
    }
    return last;
}

openssl_ptr<EVP_PKEY> load_key(const std::string& keyfile, const std::string& what) {
    const auto source = open_tls_file(keyfile, what);
    bool is_encrypted = false;
    openssl_ptr<EVP_PKEY> key(
        PEM_read_bio_PrivateKey(source.get(), nullptr, note_tls_password, &is_encrypted));
    if (!key && is_encrypted) {
        ERR_clear_error();
        throw tls_settings_error(what +
                                 " is encrypted with a password, which cannot be given here: write "
                                 "it to a file without one by 'openssl pkey -in FILE -out NEW'");
    }
    if (!key) fail_tls(what);
    return key;
}

void check_validity(X509* certificate, const std::string& what, std::vector<std::string>& found) {
    const std::string whose =
        what + ": the certificate of '" + text_of(X509_get_subject_name(certificate)) + "' ";
    const ASN1_TIME* const begin = X509_get0_notBefore(certificate);
    const ASN1_TIME* const end = X509_get0_notAfter(certificate);
    if (X509_cmp_current_time(end) < 0) {
        found.push_back(whose + "expired on " + text_of(end) + "; peers will refuse it");
    } else if (X509_cmp_current_time(begin) > 0) {
        found.push_back(whose + "is valid from " + text_of(begin) +
                        " on; peers will refuse it until then");
    }
}

}  // namespace

tls_own_certificate tls_own_certificate::load(const std::string& certfile,
                                              const std::string& keyfile, X509_STORE* authorities) {
    const std::string key_text = option_text("keyfile", keyfile);
    tls_own_certificate loaded;
    loaded.text = option_text("certfile", certfile);

    const auto certs = open_tls_file(certfile, loaded.text);
    loaded.own.reset(PEM_read_bio_X509_AUX(certs.get(), nullptr, no_tls_password, nullptr));
    if (!loaded.own) fail_tls(loaded.text);
    loaded.chain.reset(sk_X509_new_null());
    while (X509* next = PEM_read_bio_X509(certs.get(), nullptr, no_tls_password, nullptr)) {
        if (!loaded.chain || sk_X509_push(loaded.chain.get(), next) == 0) {
            X509_free(next);
            fail_tls(loaded.text);
        }
    }
    require_end_of_pem(loaded.text);

    loaded.key = load_key(keyfile, key_text);
    if (X509_check_private_key(loaded.own.get(), loaded.key.get()) != 1) {
        ERR_clear_error();
        throw tls_settings_error(key_text + " is not the key of " + loaded.text);
    }
    if (X509* const end = complete(loaded.own.get(), loaded.chain.get(), authorities)) {
        loaded.gap = loaded.text + ": no certificate of '" + text_of(X509_get_issuer_name(end)) +
                     "', which has issued that of '" + text_of(X509_get_subject_name(end)) +
                     "', is in this file or among the authorities of 'cafile', 'capath' and "
                     "'cadata'; unless it is a root authority, peers will refuse the certificate: "
                     "append that of the issuer to this file";
    }
    ERR_clear_error();
    return loaded;
}

std::vector<std::string> tls_own_certificate::invalid_now() const {
    std::vector<std::string> found;
    check_validity(own.get(), text, found);
    for (int i = 0; i < sk_X509_num(chain.get()); ++i)
        check_validity(sk_X509_value(chain.get(), i), text, found);
    return found;
}

}  // namespace amqtt
