// Ownership of OpenSSL's objects, and its errors as texts.
#pragma once

#include <memory>
#include <string>

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace amqtt {

struct openssl_deleter {
    void operator()(BIO* object) const noexcept { BIO_free(object); }
    void operator()(EVP_PKEY* object) const noexcept { EVP_PKEY_free(object); }
    void operator()(GENERAL_NAMES* object) const noexcept { GENERAL_NAMES_free(object); }
    void operator()(STACK_OF(X509) * object) const noexcept { sk_X509_pop_free(object, X509_free); }
    void operator()(X509* object) const noexcept { X509_free(object); }
    void operator()(X509_CRL* object) const noexcept { X509_CRL_free(object); }
    void operator()(X509_STORE_CTX* object) const noexcept { X509_STORE_CTX_free(object); }
};

template <class T>
using openssl_ptr = std::unique_ptr<T, openssl_deleter>;

// The oldest entry of OpenSSL's error queue of this thread as a text; empties the queue.
std::string take_tls_error();

// Throws tls_settings_error: what is wrong, and OpenSSL's reason.
[[noreturn]] void fail_tls(const std::string& what);
void require_tls(int succeeded, const std::string& what);

// An option and its value, as the errors name it.
std::string option_text(const char* name, const std::string& value);

// Opens a file for reading; throws tls_settings_error, which begins with `what`.
openssl_ptr<BIO> open_tls_file(const std::string& path, const std::string& what);

// For the functions that read PEM: there is nobody to ask for a password.
int no_tls_password(char* buffer, int size, int writes, void* data);
// Likewise; sets the bool that data points to, for somebody was asked.
int note_tls_password(char* buffer, int size, int writes, void* data);

// For people. Of a name: its parts, the most specific first, in printable characters.
std::string text_of(const X509_NAME* name);
std::string text_of(const ASN1_TIME* time);

// After the last object was read from a PEM source: throws tls_settings_error unless the end of
// the source is what stopped the reading, and clears OpenSSL's errors.
void require_end_of_pem(const std::string& what);

}  // namespace amqtt
