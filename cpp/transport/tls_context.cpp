#include "transport/tls_context.hpp"

#include <cerrno>
#include <system_error>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

namespace amqtt {
namespace {

[[noreturn]] void fail(const std::string& what) {
    const std::string reason = take_tls_error();
    throw tls_settings_error(what + ": " + (reason.empty() ? "not usable" : reason));
}

void require(int succeeded, const std::string& what) {
    if (succeeded != 1) fail(what);
}

std::string quoted(const char* name, const std::string& value) {
    return std::string(name) + " '" + value + "'";
}

// There is nobody to ask for the password of a key.
int no_password(char*, int, int, void*) {
    return 0;
}

// A client that offers protocols but not ours takes us for something else: a web browser that
// was led here must not get far (RFC 7301, 3.2).
int select_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned int offered_size, void* ours) {
    const auto& wire = *static_cast<const std::string*>(ours);
    unsigned char* found = nullptr;
    const int result =
        SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(wire.data()),
                              static_cast<unsigned int>(wire.size()), offered, offered_size);
    *chosen = found;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

std::string take_tls_error() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) return {};
    if (ERR_SYSTEM_ERROR(code)) return std::generic_category().message(ERR_GET_REASON(code));
    const char* reason = ERR_reason_error_string(code);
    return reason ? reason : "error " + std::to_string(code);
}

void tls_context::free_context::operator()(SSL_CTX* context) const noexcept {
    SSL_CTX_free(context);
}

tls_context::tls_context(const tls_settings& settings)
    : context_(SSL_CTX_new(TLS_server_method())), protocol_(1, '\0') {
    ERR_clear_error();
    if (!context_) fail("TLS");
    set_limits(settings);
    load_certificate(settings);
    load_authorities(settings);
    protocol_[0] = static_cast<char>(settings.protocol.size());
    protocol_ += settings.protocol;
    SSL_CTX_set_alpn_select_cb(context_.get(), select_protocol, &protocol_);
}

tls_context::~tls_context() = default;

SSL* tls_context::new_session(int socket) const noexcept {
    SSL* session = SSL_new(context_.get());
    if (session && SSL_set_fd(session, socket) != 1) {
        SSL_free(session);
        return nullptr;
    }
    if (session) SSL_set_accept_state(session);
    return session;
}

void tls_context::load_certificate(const tls_settings& settings) {
    SSL_CTX* c = context_.get();
    SSL_CTX_set_default_passwd_cb(c, no_password);
    require(SSL_CTX_use_certificate_chain_file(c, settings.certfile.c_str()),
            quoted("certfile", settings.certfile));
    const std::string key = quoted("keyfile", settings.keyfile);
    if (SSL_CTX_use_PrivateKey_file(c, settings.keyfile.c_str(), SSL_FILETYPE_PEM) != 1) {
        const bool other_key =
            ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
            ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH;
        if (other_key) {
            ERR_clear_error();
            throw tls_settings_error(key + " is not the key of " +
                                     quoted("certfile", settings.certfile));
        }
        fail(key);
    }
    require(SSL_CTX_check_private_key(c), key);
}

void tls_context::load_authorities(const tls_settings& settings) {
    SSL_CTX* c = context_.get();
    if (!settings.cafile.empty()) {
        require(SSL_CTX_load_verify_file(c, settings.cafile.c_str()),
                quoted("cafile", settings.cafile));
    }
    if (!settings.capath.empty()) {
        require(SSL_CTX_load_verify_dir(c, settings.capath.c_str()),
                quoted("capath", settings.capath));
    }
    if (!settings.cadata.empty()) add_authorities(settings.cadata);
    if (settings.cafile.empty() && settings.capath.empty() && settings.cadata.empty()) {
        require(SSL_CTX_set_default_verify_paths(c), "the system's certificate authorities");
    }
    const int required = settings.require_client_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | required, nullptr);
    // Else a client that resumes a session in which it was verified would be turned away.
    static constexpr unsigned char id[] = "amqtt";
    SSL_CTX_set_session_id_context(c, id, sizeof(id) - 1);
}

void tls_context::add_authorities(const std::string& pem) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> source(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
    if (!source) fail("cadata");
    int count = 0;
    while (X509* certificate = PEM_read_bio_X509(source.get(), nullptr, no_password, nullptr)) {
        const int added = X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), certificate);
        X509_free(certificate);
        require(added, "cadata");
        ++count;
    }
    // The end of the text is an error, too: there is no further certificate.
    if (count == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) fail("cadata");
    ERR_clear_error();
}

void tls_context::set_limits(const tls_settings& settings) {
    SSL_CTX* c = context_.get();
    const bool newest_only = settings.min_version == "1.3";
    if (!newest_only && settings.min_version != "1.2") {
        throw tls_settings_error("tls_min_version must be 1.2 or 1.3");
    }
    SSL_CTX_set_min_proto_version(c, newest_only ? TLS1_3_VERSION : TLS1_2_VERSION);
    if (!settings.ciphers.empty()) set_ciphers(settings.ciphers);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE |
                               // DISCONNECT tells an end from an interruption.
                               SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_dh_auto(c, 1);
    // Sessions resume by tickets, which the clients keep.
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(c, 1);
    // One system call for many records.
    SSL_CTX_set_read_ahead(c, 1);
}

// OpenSSL configures the suites of TLS 1.3 apart from those before it.
void tls_context::set_ciphers(const std::string& names) {
    std::string old_names;
    std::string new_names;
    for (std::size_t begin = 0; begin <= names.size();) {
        const std::size_t end = std::min(names.find(':', begin), names.size());
        const std::string name = names.substr(begin, end - begin);
        std::string& list = name.starts_with("TLS_") ? new_names : old_names;
        if (!list.empty()) list += ':';
        list += name;
        begin = end + 1;
    }
    const std::string what = quoted("tls_ciphers", names);
    if (!old_names.empty())
        require(SSL_CTX_set_cipher_list(context_.get(), old_names.c_str()), what);
    if (!new_names.empty())
        require(SSL_CTX_set_ciphersuites(context_.get(), new_names.c_str()), what);
}

}  // namespace amqtt
