#include "tls/tls_trust.hpp"

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "tls/tls_objects.hpp"

namespace amqtt {
namespace {

// Calls `use` for each object of a kind in a PEM source, of which there must be one.
template <class Read, class Use>
void for_each_of(BIO* source, const std::string& what, Read read, Use use) {
    int count = 0;
    while (auto* const raw = read(source, nullptr, no_tls_password, nullptr)) {
        const openssl_ptr<std::remove_pointer_t<decltype(raw)>> one(raw);
        use(one.get());
        ++count;
    }
    if (count == 0) fail_tls(what);
    require_end_of_pem(what);
}

void add_authorities(X509_STORE* store, const std::string& pem) {
    const std::string what = "cadata";
    const openssl_ptr<BIO> source(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    if (!source) fail_tls(what);
    for_each_of(source.get(), what, PEM_read_bio_X509,
                [&](X509* one) { require_tls(X509_STORE_add_cert(store, one), what); });
}

}  // namespace

void trust(SSL_CTX* context, const tls_authorities& authorities) {
    if (!authorities.cafile.empty()) {
        require_tls(SSL_CTX_load_verify_file(context, authorities.cafile.c_str()),
                    option_text("cafile", authorities.cafile));
    }
    if (!authorities.capath.empty()) {
        require_tls(SSL_CTX_load_verify_dir(context, authorities.capath.c_str()),
                    option_text("capath", authorities.capath));
    }
    if (!authorities.cadata.empty()) {
        add_authorities(SSL_CTX_get_cert_store(context), authorities.cadata);
    }
}

std::vector<std::string> check_revocations(SSL_CTX* context, const std::string& path) {
    const std::string what = option_text("crlfile", path);
    const openssl_ptr<BIO> source = open_tls_file(path, what);
    X509_STORE* const store = SSL_CTX_get_cert_store(context);
    std::vector<std::string> warnings;
    for_each_of(source.get(), what, PEM_read_bio_X509_CRL, [&](X509_CRL* one) {
        require_tls(X509_STORE_add_crl(store, one), what);
        const ASN1_TIME* const end = X509_CRL_get0_nextUpdate(one);
        if (end && X509_cmp_current_time(end) < 0) {
            warnings.push_back(what + ": the list of '" + text_of(X509_CRL_get_issuer(one)) +
                               "' expired on " + text_of(end) +
                               "; until there is a new one, certificates of that authority are "
                               "refused");
        }
    });
    require_tls(X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL),
                what);
    return warnings;
}

int excuse_missing_lists(int accepted, X509_STORE_CTX* check) noexcept {
    if (accepted == 1) return 1;
    const bool has_no_list = X509_STORE_CTX_get_error(check) == X509_V_ERR_UNABLE_TO_GET_CRL;
    if (!has_no_list || X509_STORE_CTX_get_error_depth(check) == 0) return 0;
    X509_STORE_CTX_set_error(check, X509_V_OK);
    return 1;
}

}  // namespace amqtt
