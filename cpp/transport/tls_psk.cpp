#include "transport/tls_psk.hpp"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include "transport/tls_settings.hpp"

namespace amqtt {
namespace {

// Without (EC)DHE, who records a handshake can try keys at leisure (RFC 9257, 4.2).
constexpr std::size_t shortest_key = 16;
// What OpenSSL hands to and takes from the callback.
constexpr std::size_t longest_key = PSK_MAX_PSK_LEN;
constexpr std::size_t longest_identity = PSK_MAX_IDENTITY_LEN;

int digit_of(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Empty when it is no hexadecimal number of whole bytes.
psk_table::key bytes_of(std::string_view digits) {
    psk_table::key bytes;
    if (digits.size() % 2 != 0) return bytes;
    bytes.reserve(digits.size() / 2);
    for (std::size_t i = 0; i < digits.size(); i += 2) {
        const int high = digit_of(digits[i]);
        const int low = digit_of(digits[i + 1]);
        if (high < 0 || low < 0) return {};
        bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
    }
    return bytes;
}

}  // namespace

psk_table psk_table::read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file) {
        throw tls_settings_error("tls_psk_file '" + path +
                                 "': " + std::generic_category().message(errno != 0 ? errno : EIO));
    }
    psk_table table = parse(text, path);
    OPENSSL_cleanse(text.data(), text.size());
    return table;
}

psk_table psk_table::parse(std::string_view text, const std::string& name) {
    psk_table table;
    std::size_t number = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        ++number;
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || line.starts_with('#')) continue;
        table.add_line(line, "tls_psk_file '" + name + "', line " + std::to_string(number) + ": ");
    }
    if (table.keys_.empty()) throw tls_settings_error("tls_psk_file '" + name + "' has no keys");
    return table;
}

// No error shows the line: it may hold a key.
void psk_table::add_line(std::string_view line, const std::string& where) {
    // Keys have no colon, identities may.
    const std::size_t colon = line.rfind(':');
    if (colon == std::string_view::npos) throw tls_settings_error(where + "expected identity:key");
    const std::string_view identity = line.substr(0, colon);
    if (identity.empty() || identity.size() > longest_identity ||
        identity.find('\0') != std::string_view::npos) {
        throw tls_settings_error(where + "expected an identity of 1 to " +
                                 std::to_string(longest_identity) + " bytes, none of them zero");
    }
    key bytes = bytes_of(line.substr(colon + 1));
    if (bytes.size() < shortest_key || bytes.size() > longest_key) {
        throw tls_settings_error(where + "expected a key of " + std::to_string(shortest_key) +
                                 " to " + std::to_string(longest_key) + " bytes in hexadecimal");
    }
    if (!keys_.try_emplace(std::string(identity), std::move(bytes)).second) {
        throw tls_settings_error(where + "a line before has the same identity");
    }
}

psk_table::~psk_table() {
    for (auto& [identity, secret] : keys_)
        OPENSSL_cleanse(secret.data(), secret.size());
}

const psk_table::entry* psk_table::find(std::string_view identity) const {
    const auto found = keys_.find(std::string(identity));
    return found == keys_.end() ? nullptr : &*found;
}

}  // namespace amqtt
