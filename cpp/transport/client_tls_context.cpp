#include "transport/client_tls_context.hpp"

#include <arpa/inet.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "transport/tls_objects.hpp"
#include "transport/tls_settings.hpp"

namespace amqtt {
namespace {

bool exists(const std::string& path) noexcept {
    struct stat found {};
    return !path.empty() && ::stat(path.c_str(), &found) == 0;
}

bool is_address(const std::string& host) noexcept {
    in6_addr ignored{};
    return ::inet_pton(AF_INET, host.c_str(), &ignored) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
}

void add_authorities(SSL_CTX* context, const std::string& pem) {
    const openssl_ptr<BIO> source(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    if (!source) fail_tls("cadata");
    int count = 0;
    while (true) {
        const openssl_ptr<X509> one(
            PEM_read_bio_X509(source.get(), nullptr, no_tls_password, nullptr));
        if (!one) break;
        require_tls(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one.get()), "cadata");
        ++count;
    }
    if (count == 0) fail_tls("cadata");
    require_end_of_pem("cadata");
}

}  // namespace

void client_tls_context::free_context::operator()(SSL_CTX* context) const noexcept {
    SSL_CTX_free(context);
}

client_tls_context::client_tls_context(const client_tls_settings& settings)
    : context_(SSL_CTX_new(TLS_client_method())),
      check_hostname_(settings.check_hostname),
      verify_(settings.verify) {
    ERR_clear_error();
    if (!context_) fail_tls("TLS");
    set_limits();
    SSL_CTX_set_verify(context_.get(), verify_ ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (verify_) load_authorities(settings);
    load_own_certificate(settings);
    if (!settings.protocol.empty()) {
        protocol_ = static_cast<char>(settings.protocol.size()) + settings.protocol;
    }
}

void client_tls_context::set_limits() {
    SSL_CTX* c = context_.get();
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    SSL_CTX_set_options(
        c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_default_passwd_cb(c, no_tls_password);
    SSL_CTX_set_read_ahead(c, 1);  // one system call for many records
}

void client_tls_context::load_authorities(const client_tls_settings& settings) {
    SSL_CTX* c = context_.get();
    if (!settings.cafile.empty()) {
        require_tls(SSL_CTX_load_verify_file(c, settings.cafile.c_str()),
                    option_text("cafile", settings.cafile));
    }
    if (!settings.capath.empty()) {
        require_tls(SSL_CTX_load_verify_dir(c, settings.capath.c_str()),
                    option_text("capath", settings.capath));
    }
    if (!settings.cadata.empty()) add_authorities(c, settings.cadata);
    if (settings.cafile.empty() && settings.capath.empty() && settings.cadata.empty()) {
        // Those that are missing or empty leave nobody to trust, as in Python's ssl module.
        if (exists(settings.default_cafile)) {
            SSL_CTX_load_verify_file(c, settings.default_cafile.c_str());
        }
        if (exists(settings.default_capath)) {
            SSL_CTX_load_verify_dir(c, settings.default_capath.c_str());
        }
        ERR_clear_error();
    }
    // A certificate that the user names as trusted may be the server's own.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(c),
                                X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
}

void client_tls_context::load_own_certificate(const client_tls_settings& settings) {
    if (settings.certfile.empty()) return;
    SSL_CTX* c = context_.get();
    require_tls(SSL_CTX_use_certificate_chain_file(c, settings.certfile.c_str()),
                option_text("certfile", settings.certfile));
    const std::string key = option_text("keyfile", settings.keyfile);
    require_tls(SSL_CTX_use_PrivateKey_file(c, settings.keyfile.c_str(), SSL_FILETYPE_PEM), key);
    require_tls(SSL_CTX_check_private_key(c), key);
}

SSL* client_tls_context::new_session(int socket, const std::string& host) const noexcept {
    SSL* session = SSL_new(context_.get());
    if (!session) return nullptr;
    bool good = SSL_set_fd(session, socket) == 1;
    const bool by_address = is_address(host);
    if (!by_address) good = good && SSL_set_tlsext_host_name(session, host.c_str()) == 1;
    if (verify_ && check_hostname_) {
        X509_VERIFY_PARAM* const rules = SSL_get0_param(session);
        SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        good = good && (by_address ? X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str())
                                   : SSL_set1_host(session, host.c_str())) == 1;
    }
    if (!protocol_.empty()) {
        // 0 is success, of this function alone.
        good = good && SSL_set_alpn_protos(session,
                                           reinterpret_cast<const unsigned char*>(protocol_.data()),
                                           static_cast<unsigned int>(protocol_.size())) == 0;
    }
    if (!good) {
        SSL_free(session);
        return nullptr;
    }
    SSL_set_connect_state(session);
    return session;
}

}  // namespace amqtt
