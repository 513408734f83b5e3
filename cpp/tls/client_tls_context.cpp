#include "tls/client_tls_context.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <string_view>
#include <sys/stat.h>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tls/tls_objects.hpp"
#include "tls/tls_own_certificate.hpp"
#include "tls/tls_trust.hpp"

namespace amqtt {
namespace {

bool exists(const std::string& path) noexcept {
    struct stat found {};
    return !path.empty() && ::stat(path.c_str(), &found) == 0;
}

// What a host is if it is an address, without the zone: fe80::1%eth0 is fe80::1 on every other
// machine, and in certificates. Empty if it is a name.
class address {
  public:
    explicit address(std::string_view host) noexcept {
        const std::size_t size = std::min(host.find('%'), host.size());
        if (size >= text_.size()) return;
        std::copy_n(host.data(), size, text_.data());
        in6_addr ignored{};
        if (::inet_pton(AF_INET, text_.data(), &ignored) != 1 &&
            ::inet_pton(AF_INET6, text_.data(), &ignored) != 1) {
            text_[0] = '\0';
        }
    }

    bool empty() const noexcept { return text_[0] == '\0'; }
    const char* text() const noexcept { return text_.data(); }

  private:
    std::array<char, INET6_ADDRSTRLEN> text_{};
};

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
    SSL_CTX_set_verify(context_.get(), verify_ ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                       verify_ ? excuse_missing_lists : nullptr);
    // Those of the own certificate may be among them.
    if (verify_ || !settings.certfile.empty()) load_authorities(settings);
    if (verify_ && !settings.crlfile.empty()) {
        warnings_ = check_revocations(context_.get(), settings.crlfile);
    }
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
    SSL_CTX_set_read_ahead(c, 1);  // one system call for many records
}

void client_tls_context::load_authorities(const client_tls_settings& settings) {
    SSL_CTX* c = context_.get();
    const tls_authorities authorities{settings.cafile, settings.capath, settings.cadata};
    trust(c, authorities);
    if (authorities.empty() && verify_) {
        // Those that are missing or empty leave nobody to trust, as in Python's ssl module.
        if (exists(settings.default_cafile)) {
            SSL_CTX_load_verify_file(c, settings.default_cafile.c_str());
        }
        if (exists(settings.default_capath)) {
            SSL_CTX_load_verify_dir(c, settings.default_capath.c_str());
        }
        ERR_clear_error();
    }
    // A certificate that the user names as trusted may be the server's own. With revocation lists
    // the chain is followed to its root, since an authority before it may be revoked.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(c),
                                settings.crlfile.empty()
                                    ? X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST
                                    : X509_V_FLAG_TRUSTED_FIRST);
}

void client_tls_context::load_own_certificate(const client_tls_settings& settings) {
    if (settings.certfile.empty()) return;
    SSL_CTX* c = context_.get();
    const auto mine =
        tls_own_certificate::load(settings.certfile, settings.keyfile, SSL_CTX_get_cert_store(c));
    require_tls(SSL_CTX_use_cert_and_key(c, mine.own.get(), mine.key.get(), mine.chain.get(), 1),
                mine.text);
    for (std::string& one : mine.invalid_now())
        warnings_.push_back(std::move(one));
}

SSL* client_tls_context::new_session(int socket, const std::string& host) const noexcept {
    SSL* session = SSL_new(context_.get());
    if (!session) return nullptr;
    bool good = SSL_set_fd(session, socket) == 1;
    const address by_address(host);
    if (by_address.empty()) good = good && SSL_set_tlsext_host_name(session, host.c_str()) == 1;
    if (verify_ && check_hostname_) {
        X509_VERIFY_PARAM* const rules = SSL_get0_param(session);
        SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        good = good &&
               (by_address.empty() ? SSL_set1_host(session, host.c_str())
                                   : X509_VERIFY_PARAM_set1_ip_asc(rules, by_address.text())) == 1;
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
