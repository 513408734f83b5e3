#include "transport/tls_objects.hpp"

#include <system_error>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "transport/tls_settings.hpp"

namespace amqtt {

std::string take_tls_error() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) return {};
    if (ERR_SYSTEM_ERROR(code)) return std::generic_category().message(ERR_GET_REASON(code));
    const char* reason = ERR_reason_error_string(code);
    return reason ? reason : "error " + std::to_string(code);
}

void fail_tls(const std::string& what) {
    const std::string reason = take_tls_error();
    throw tls_settings_error(what + ": " + (reason.empty() ? "not usable" : reason));
}

void require_tls(int succeeded, const std::string& what) {
    if (succeeded != 1) fail_tls(what);
}

std::string option_text(const char* name, const std::string& value) {
    return std::string(name) + " '" + value + "'";
}

openssl_ptr<BIO> open_tls_file(const std::string& path, const std::string& what) {
    ERR_clear_error();
    openssl_ptr<BIO> source(BIO_new_file(path.c_str(), "r"));
    if (!source) fail_tls(what);
    return source;
}

int no_tls_password(char*, int, int, void*) {
    return 0;
}

void require_end_of_pem(const std::string& what) {
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) fail_tls(what);
    ERR_clear_error();
}

}  // namespace amqtt
