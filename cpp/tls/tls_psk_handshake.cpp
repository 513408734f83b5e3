#include "tls/tls_psk_handshake.hpp"

#include <openssl/async.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include "codec/utf8.hpp"

namespace amqtt {

psk_handshake::~psk_handshake() {
    OPENSSL_cleanse(answer_.data(), answer_.size());
}

bool psk_handshake::can_ask() noexcept {
    return ASYNC_is_capable() == 1;
}

const psk_table::key& psk_handshake::ask(std::string_view identity) {
    static const psk_table::key none;
    // The client may have had to send its ClientHello twice.
    if (!asked_.empty() && identity == asked_) return answer_;
    if (!may_ask_ || !is_identity(identity) || ASYNC_get_current_job() == nullptr) return none;
    answer({});
    asked_ = identity;
    is_waiting_ = true;
    const bool suspended = ASYNC_pause_job() == 1;
    is_waiting_ = false;
    return suspended ? answer_ : none;
}

void psk_handshake::answer(bytes_view key) {
    OPENSSL_cleanse(answer_.data(), answer_.size());
    answer_.assign(key.begin(), key.end());
}

bool is_identity(std::string_view text) noexcept {
    return !text.empty() && text.size() <= PSK_MAX_IDENTITY_LEN && is_valid_utf8(text);
}

}  // namespace amqtt
