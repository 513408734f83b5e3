#include "tls/tls_certificates.hpp"

#include <algorithm>
#include <utility>

namespace amqtt {
namespace {

// Host names are compared without regard to case (RFC 6066, 3), and a final dot says nothing.
std::string canonical(std::string_view name) {
    if (name.ends_with('.')) name.remove_suffix(1);
    std::string result(name);
    std::transform(result.begin(), result.end(), result.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return result;
}

std::vector<std::string> dns_names_of(X509* certificate) {
    std::vector<std::string> found;
    const openssl_ptr<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_DNS) continue;
        found.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                           static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    }
    return found;
}

}  // namespace

tls_certificates::tls_certificates(const std::vector<tls_certificate_files>& files,
                                   X509_STORE* authorities) {
    for (const tls_certificate_files& each : files) {
        all_.push_back(tls_own_certificate::load(each.certfile, each.keyfile, authorities));
        add_names(all_.size() - 1, each);
    }
}

std::vector<std::string> tls_certificates::invalid_now() const {
    std::vector<std::string> found;
    for (const tls_own_certificate& each : all_) {
        for (std::string& one : each.invalid_now())
            found.push_back(std::move(one));
    }
    return found;
}

std::vector<std::string> tls_certificates::gaps() const {
    std::vector<std::string> found;
    for (const tls_own_certificate& each : all_) {
        if (!each.gap.empty()) found.push_back(each.gap);
    }
    return found;
}

void tls_certificates::add_names(std::size_t index, const tls_certificate_files& files) {
    const std::vector<std::string> names =
        files.hostnames.empty() ? dns_names_of(all_[index].own.get()) : files.hostnames;
    // The first is of use without a name.
    if (names.empty() && index > 0) {
        throw tls_settings_error(option_text("certfile", files.certfile) +
                                 " names no host: set 'hostnames'");
    }
    for (const std::string& name : names)
        add_name(index, name);
}

void tls_certificates::add_name(std::size_t index, std::string_view name) {
    std::vector<std::size_t>& users = by_name_[canonical(name)];
    if (std::find(users.begin(), users.end(), index) == users.end()) users.push_back(index);
}

void tls_certificates::install_default(SSL_CTX* context) const {
    if (all_.empty()) return;
    const tls_own_certificate& first = all_.front();
    require_tls(
        SSL_CTX_use_cert_and_key(context, first.own.get(), first.key.get(), first.chain.get(), 1),
        first.text);
}

bool tls_certificates::choose(SSL* session, std::string_view hostname) const {
    const std::string name = canonical(hostname);
    auto found = by_name_.find(name);
    if (found == by_name_.end()) {
        // A wildcard stands for exactly the first label (RFC 6125, 6.4.3).
        const std::size_t dot = name.find('.');
        if (dot == std::string::npos) return false;
        std::string wildcard = "*";
        found = by_name_.find(wildcard.append(name, dot));
        if (found == by_name_.end()) return false;
    }
    SSL_certs_clear(session);
    for (const std::size_t index : found->second) {
        const tls_own_certificate& each = all_[index];
        if (SSL_use_cert_and_key(session, each.own.get(), each.key.get(), each.chain.get(), 1) !=
            1) {
            return false;
        }
    }
    return true;
}

}  // namespace amqtt
