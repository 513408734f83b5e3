#include "tls/tls_psk.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include "tls/tls_settings.hpp"

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

// Appends what is in a file. Returns errno of what went wrong, or 0.
int read_file(const std::string& path, std::string& into) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return errno;
    std::array<char, 16 * 1024> buffer;
    int problem = 0;
    while (true) {
        const ssize_t size = ::read(file, buffer.data(), buffer.size());
        if (size > 0) into.append(buffer.data(), static_cast<std::size_t>(size));
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) problem = errno;
        if (size <= 0) break;
    }
    ::close(file);
    OPENSSL_cleanse(buffer.data(), buffer.size());
    return problem;
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
    std::string text;
    if (const int problem = read_file(path, text); problem != 0) {
        throw tls_settings_error("tls_psk_file '" + path +
                                 "': " + std::generic_category().message(problem));
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
