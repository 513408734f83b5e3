#include "tls/tls_psk_choice.hpp"

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "tls/tls_objects.hpp"
#include "tls/tls_psk_handshake.hpp"

namespace amqtt {
namespace {

bool needs_key(const SSL_CIPHER* suite) noexcept {
    return SSL_CIPHER_get_auth_nid(suite) == NID_auth_psk;
}

void append(std::string& list, const SSL_CIPHER* suite) {
    if (!list.empty()) list += ':';
    list += SSL_CIPHER_get_name(suite);
}

// A client that has no key leaves such suites out.
bool offers_key_suites(SSL* session) {
    const unsigned char* offered = nullptr;
    const std::size_t size = SSL_client_hello_get0_ciphers(session, &offered);
    STACK_OF(SSL_CIPHER)* suites = nullptr;
    STACK_OF(SSL_CIPHER)* signals = nullptr;
    if (SSL_bytes_to_cipher_list(session, offered, size, 0, &suites, &signals) != 1) return false;
    bool found = false;
    for (int i = 0; i < sk_SSL_CIPHER_num(suites) && !found; ++i)
        found = needs_key(sk_SSL_CIPHER_value(suites, i));
    sk_SSL_CIPHER_free(suites);
    sk_SSL_CIPHER_free(signals);
    return found;
}

}  // namespace

psk_choice::psk_choice(const SSL_CTX* context) {
    std::string others;
    const STACK_OF(SSL_CIPHER)* const suites = SSL_CTX_get_ciphers(context);
    for (int i = 0; i < sk_SSL_CIPHER_num(suites); ++i) {
        const SSL_CIPHER* const suite = sk_SSL_CIPHER_value(suites, i);
        if (std::string_view(SSL_CIPHER_get_name(suite)).starts_with("TLS_")) {
            const EVP_MD* const digest = SSL_CIPHER_get_handshake_digest(suite);
            if (digest && EVP_MD_is_a(digest, "SHA256") == 1) append(sha256_suites_, suite);
        } else {
            append(needs_key(suite) ? key_suites_first_ : others, suite);
        }
    }
    if (!key_suites_first_.empty() && !others.empty()) key_suites_first_ += ':' + others;
}

bool psk_choice::apply(SSL* session, const psk_table& keys, bool any_identity) const {
    const unsigned char* value = nullptr;
    std::size_t size = 0;
    const bool names_psk =
        SSL_client_hello_get0_ext(session, TLSEXT_TYPE_psk, &value, &size) == 1 &&
        names_a_key({value, size}, keys, any_identity);
    if (names_psk && !sha256_suites_.empty() &&
        SSL_set_ciphersuites(session, sha256_suites_.c_str()) != 1) {
        return false;
    }
    return key_suites_first_.empty() || !offers_key_suites(session) ||
           SSL_set_cipher_list(session, key_suites_first_.c_str()) == 1;
}

bool names_a_key(bytes_view extension, const psk_table& keys, bool any_identity) {
    constexpr std::size_t age_size = 4;
    const auto take_length = [](bytes_view& from) -> std::size_t {
        const std::size_t length = static_cast<std::size_t>(from[0]) << 8 | from[1];
        from = from.subspan(2);
        return length;
    };
    if (extension.size() < 2) return false;
    const std::size_t all = take_length(extension);
    if (all > extension.size()) return false;
    bytes_view rest = extension.first(all);
    while (rest.size() >= 2) {
        const std::size_t length = take_length(rest);
        if (length + age_size > rest.size()) return false;
        const std::string_view identity = as_text(rest.first(length));
        if (keys.find(identity) != nullptr || (any_identity && is_identity(identity))) return true;
        rest = rest.subspan(length + age_size);
    }
    return false;
}

}  // namespace amqtt
