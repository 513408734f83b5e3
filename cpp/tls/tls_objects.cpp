#include "tls/tls_objects.hpp"

#include <system_error>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "tls/tls_settings.hpp"

namespace amqtt {
namespace {

std::string content_of(BIO* memory) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(memory, &data);
    return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
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
    openssl_ptr<BIO> source(BIO_new_file(path.c_str(), "re"));
    if (!source) fail_tls(what);
    return source;
}

int no_tls_password(char*, int, int, void*) {
    return 0;
}

int note_tls_password(char*, int, int, void* data) {
    *static_cast<bool*>(data) = true;
    return 0;
}

std::string text_of(const X509_NAME* name) {
    const openssl_ptr<BIO> out(BIO_new(BIO_s_mem()));
    if (!out || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
    return content_of(out.get());
}

std::string text_of(const ASN1_TIME* time) {
    const openssl_ptr<BIO> out(BIO_new(BIO_s_mem()));
    if (!out || ASN1_TIME_print(out.get(), time) != 1) return {};
    return content_of(out.get());
}

void require_end_of_pem(const std::string& what) {
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) fail_tls(what);
    ERR_clear_error();
}

}  // namespace amqtt
