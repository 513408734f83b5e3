#include "tls/tls_context.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tls/tls_objects.hpp"
#include "tls/tls_trust.hpp"

namespace amqtt {

void tls_context::free_context::operator()(SSL_CTX* context) const noexcept {
    SSL_CTX_free(context);
}

tls_context::tls_context(const tls_settings& settings)
    : asks_plugins_(settings.psk_plugins), context_(SSL_CTX_new(TLS_server_method())) {
    ERR_clear_error();
    if (!context_) fail_tls("TLS");
    if (!settings.psk_file.empty()) keys_ = psk_table::read(settings.psk_file);
    if (settings.certificates.empty() && !has_keys()) {
        throw tls_settings_error("TLS needs a certificate or a file of pre-shared keys");
    }
    if (asks_plugins_ && !psk_handshake::can_ask()) {
        throw tls_settings_error(
            "tls_psk_plugins cannot be used: OpenSSL has no asynchronous jobs on this system");
    }
    set_limits(settings);
    load_authorities(settings);
    certificates_ = tls_certificates(settings.certificates, SSL_CTX_get_cert_store(context_.get()));
    certificates_.install_default(context_.get());
    for (std::string& one : certificates_.invalid_now())
        warnings_.push_back(std::move(one));
    protocol_ = static_cast<char>(settings.protocol.size()) + settings.protocol;
    set_callbacks();
}

tls_context::~tls_context() = default;

SSL* tls_context::new_session(int socket, psk_handshake& psk) const noexcept {
    SSL* session = SSL_new(context_.get());
    if (session && SSL_set_fd(session, socket) != 1) {
        SSL_free(session);
        return nullptr;
    }
    if (!session) return nullptr;
    SSL_set_accept_state(session);
    SSL_set_app_data(session, &psk);
    if (asks_plugins_) SSL_set_mode(session, SSL_MODE_ASYNC);
    return session;
}

void tls_context::load_authorities(const tls_settings& settings) {
    SSL_CTX* c = context_.get();
    const tls_authorities authorities{settings.cafile, settings.capath, settings.cadata};
    trust(c, authorities);
    if (authorities.empty()) {
        require_tls(SSL_CTX_set_default_verify_paths(c), "the system's certificate authorities");
    }
    if (!settings.crlfile.empty()) warnings_ = check_revocations(c, settings.crlfile);
    int verify = settings.request_client_certificate ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
    if (settings.require_client_certificate)
        verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(c, verify, excuse_missing_lists);
    // Else a client that resumes a session in which it was verified would be turned away.
    static constexpr unsigned char id[] = "amqtt";
    SSL_CTX_set_session_id_context(c, id, sizeof(id) - 1);
}

void tls_context::set_limits(const tls_settings& settings) {
    SSL_CTX* c = context_.get();
    const bool newest_only = settings.min_version == "1.3";
    if (!newest_only && settings.min_version != "1.2") {
        throw tls_settings_error("tls_min_version must be 1.2 or 1.3");
    }
    SSL_CTX_set_min_proto_version(c, newest_only ? TLS1_3_VERSION : TLS1_2_VERSION);
    if (!settings.ciphers.empty()) set_ciphers(settings.ciphers);
    if (!settings.groups.empty()) {
        require_tls(static_cast<int>(SSL_CTX_set1_groups_list(c, settings.groups.c_str())),
                    option_text("tls_groups", settings.groups));
    }
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
    const std::string what = option_text("tls_ciphers", names);
    if (!old_names.empty())
        require_tls(SSL_CTX_set_cipher_list(context_.get(), old_names.c_str()), what);
    if (!new_names.empty())
        require_tls(SSL_CTX_set_ciphersuites(context_.get(), new_names.c_str()), what);
}

// -- what OpenSSL asks during a handshake

void tls_context::set_callbacks() {
    SSL_CTX* c = context_.get();
    SSL_CTX_set_app_data(c, this);
    SSL_CTX_set_alpn_select_cb(c, select_protocol, this);
    if (!certificates_.empty()) {
        SSL_CTX_set_tlsext_servername_callback(c, name_received);
        SSL_CTX_set_tlsext_servername_arg(c, this);
    }
    if (has_keys()) {
        // Serves TLS 1.3, too, with suites of SHA-256.
        SSL_CTX_set_psk_server_callback(c, find_key);
        SSL_CTX_set_session_ticket_cb(c, ticket_made, nullptr, this);
    }
    if (!certificates_.empty() && has_keys()) {
        key_choice_ = psk_choice(c);
        SSL_CTX_set_client_hello_cb(c, hello_received, this);
    }
}

int tls_context::hello_received(SSL* session, int* alert, void* self) {
    const auto* context = static_cast<const tls_context*>(self);
    if (context->key_choice_.apply(session, context->keys_, context->asks_plugins_))
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

// A client that asks for a host we do not know gets the first certificate, and decides itself.
int tls_context::name_received(SSL* session, int*, void* self) {
    const char* const name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
    if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
    const bool known = static_cast<const tls_context*>(self)->certificates_.choose(session, name);
    ERR_clear_error();
    return known ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

// A client that offers protocols but not ours takes us for something else: a web browser that
// was led here must not get far (RFC 7301, 3.2).
int tls_context::select_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                                 const unsigned char* offered, unsigned int offered_size,
                                 void* self) {
    const std::string& wire = static_cast<const tls_context*>(self)->protocol_;
    unsigned char* found = nullptr;
    const int result =
        SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(wire.data()),
                              static_cast<unsigned int>(wire.size()), offered, offered_size);
    *chosen = found;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

unsigned int tls_context::find_key(SSL* session, const char* identity, unsigned char* key,
                                   unsigned int room) {
    const auto* self =
        static_cast<const tls_context*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(session)));
    auto* const handshake = static_cast<psk_handshake*>(SSL_get_app_data(session));
    if (identity == nullptr || handshake == nullptr) return 0;
    const psk_table::entry* const found = self->keys_.find(identity);
    if (found == nullptr && !self->asks_plugins_) return 0;
    const psk_table::key& secret = found != nullptr ? found->second : handshake->ask(identity);
    if (secret.empty() || secret.size() > room) return 0;
    std::memcpy(key, secret.data(), secret.size());
    // OpenSSL keeps the identity for TLS 1.2 only.
    handshake->began_with(identity);
    return static_cast<unsigned int>(secret.size());
}

// The ticket remembers the identity, so that a resumed session has it.
int tls_context::ticket_made(SSL* session, void*) {
    const std::string identity = psk_identity_of(session);
    if (identity.empty()) return 1;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(session), identity.data(),
                                           identity.size());
}

std::string tls_context::psk_identity_of(SSL* session) {
    const auto* const handshake = static_cast<psk_handshake*>(SSL_get_app_data(session));
    if (handshake != nullptr && !handshake->identity().empty()) return handshake->identity();
    void* data = nullptr;
    std::size_t size = 0;
    SSL_SESSION* const resumed = SSL_get_session(session);
    if (!resumed || SSL_SESSION_get0_ticket_appdata(resumed, &data, &size) != 1) return {};
    return {static_cast<const char*>(data), size};
}

std::vector<std::string> check_tls(const tls_settings& settings) {
    const tls_context checked(settings);
    std::vector<std::string> found = checked.warnings();
    for (std::string& each : checked.hints())
        found.push_back(std::move(each));
    return found;
}

}  // namespace amqtt
