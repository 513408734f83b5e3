#include "net/proxy_header.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "net/asio.hpp"

namespace amqtt {
namespace {

constexpr std::string_view first_of_line = "PROXY ";
constexpr std::string_view signature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t longest_line = 107;
constexpr std::size_t fixed_size = 16;  // of version 2: signature, command, family, length
constexpr std::size_t unix_path_size = 108;

enum family : std::uint8_t {
    unspecified = 0x00,
    tcp_v4 = 0x11,
    tcp_v6 = 0x21,
    unix_stream = 0x31,
};

std::uint16_t big_endian_16(bytes_view at) noexcept {
    return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}

// Takes the text up to the next space, and the space.
std::string_view next_word(std::string_view& line) {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
}

std::optional<std::uint16_t> to_port(std::string_view digits) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    const bool has_zero_in_front = digits.size() > 1 && digits.starts_with('0');
    if (error != std::errc() || end != digits.data() + digits.size() || has_zero_in_front) {
        return std::nullopt;
    }
    return port;
}

// As the address is written everywhere else; nullopt if it is none of that version.
std::optional<std::string> to_address(std::string_view text, bool v6) {
    error_code error;
    const auto address = asio::ip::make_address(std::string(text), error);
    // A scope means something on the proxy's machine only.
    if (error || address.is_v6() != v6 || text.find('%') != std::string_view::npos) {
        return std::nullopt;
    }
    return address.to_string();
}

template <class Address>
std::string address_from(bytes_view bytes) {
    typename Address::bytes_type raw;
    std::copy_n(bytes.begin(), raw.size(), raw.begin());
    return Address(raw).to_string();
}

}  // namespace

std::size_t proxy_header::receive(bytes_view input) {
    std::size_t taken = 0;
    while (state_ == state::reading) {
        const std::size_t missing = wanted() - text_.size();
        const std::size_t n = std::min(missing, input.size() - taken);
        text_ += as_text(input.subspan(taken, n));
        taken += n;
        if (n < missing) {
            // Something else than a header is to be found out without waiting for its length.
            if (!signature.starts_with(text_.substr(0, signature.size())) &&
                !first_of_line.starts_with(text_.substr(0, first_of_line.size()))) {
                refuse("no header of the PROXY protocol");
            }
            break;
        }
        examine();
    }
    return taken;
}

std::size_t proxy_header::wanted() const noexcept {
    // The shortest of version 1, "PROXY UNKNOWN" and its end, is no longer than the fixed part of
    // version 2, so that many bytes are the header's in any case.
    constexpr std::size_t shortest_line = 15;
    if (text_.size() < shortest_line) return shortest_line;
    if (text_.starts_with(first_of_line)) {
        // Never a byte that may be behind the end, nor behind the longest line.
        const bool one = text_.ends_with('\r') || text_.size() + 1 == longest_line;
        return text_.size() + (one ? 1 : 2);
    }
    if (text_.size() < fixed_size) return fixed_size;
    return fixed_size + big_endian_16(as_bytes(text_).subspan(14));
}

// There are as many bytes as were wanted.
void proxy_header::examine() {
    if (text_.starts_with(first_of_line)) {
        if (text_.ends_with("\r\n")) {
            read_line();
        } else if (text_.size() >= longest_line) {
            refuse("line of more than 107 bytes");
        }
    } else if (!text_.starts_with(signature)) {
        refuse("no header of the PROXY protocol");
    } else if (text_.size() >= fixed_size && wanted() > largest) {
        refuse("header of more than 16 KiB");
    } else if (text_.size() >= fixed_size && text_.size() == wanted()) {
        read_binary();
    }
}

void proxy_header::read_line() {
    std::string_view line(text_);
    line.remove_prefix(first_of_line.size());
    line.remove_suffix(2);
    const std::string_view protocol = next_word(line);
    if (protocol == "UNKNOWN") {  // whatever follows (2.1)
        state_ = state::accepted;
    } else if (protocol == "TCP4" || protocol == "TCP6") {
        read_tcp(line, protocol == "TCP6");
    } else {
        refuse("protocol that is not TCP4, TCP6 or UNKNOWN");
    }
}

void proxy_header::read_tcp(std::string_view line, bool v6) {
    const auto from = to_address(next_word(line), v6);
    const auto to = to_address(next_word(line), v6);
    const auto from_port = to_port(next_word(line));
    const auto target_port = to_port(line);
    if (!from || !to) {
        refuse("bad address");
    } else if (!from_port || !target_port) {
        refuse("bad port");
    } else {
        peer_ = {*from, *from_port};
        state_ = state::accepted;
    }
}

void proxy_header::read_binary() {
    const bytes_view bytes = as_bytes(text_);
    const std::uint8_t version_and_command = bytes[12];
    const std::uint8_t family = bytes[13];
    if (version_and_command >> 4 != 2) {
        refuse("version that is not 1 or 2");
    } else if ((version_and_command & 0x0F) == 0) {
        // LOCAL: the proxy speaks for itself, and the block is of no interest (2.2).
        state_ = state::accepted;
    } else if ((version_and_command & 0x0F) == 1) {
        read_addresses(family, bytes.subspan(fixed_size));
    } else {
        refuse("command that is not LOCAL or PROXY");
    }
}

void proxy_header::read_addresses(std::uint8_t family, bytes_view block) {
    std::size_t size = 0;
    switch (family) {
        case unspecified:
            state_ = state::accepted;  // the proxy cannot say; what follows is not defined
            return;
        case tcp_v4:
            size = 2 * (4 + 2);
            break;
        case tcp_v6:
            size = 2 * (16 + 2);
            break;
        case unix_stream:
            size = 2 * unix_path_size;
            break;
        default:
            refuse("address family that is not TCP4, TCP6 or Unix stream");
            return;
    }
    if (block.size() < size) {
        refuse("addresses that are longer than the header");
        return;
    }
    if (family == tcp_v4) {
        peer_ = {address_from<asio::ip::address_v4>(block), big_endian_16(block.subspan(8))};
    } else if (family == tcp_v6) {
        peer_ = {address_from<asio::ip::address_v6>(block), big_endian_16(block.subspan(32))};
    } else {
        const std::string_view path = as_text(block.first(unix_path_size));
        peer_ = {"unix:" + std::string(path.substr(0, path.find('\0'))), 0};
    }
    check_extensions(block.subspan(size));
}

// None of them is used, but their lengths must add up: else the sender means something else.
void proxy_header::check_extensions(bytes_view rest) {
    constexpr std::size_t head_size = 3;  // type and length
    while (!rest.empty()) {
        if (rest.size() < head_size || rest.size() - head_size < big_endian_16(rest.subspan(1))) {
            refuse("extension that is longer than the header");
            return;
        }
        rest = rest.subspan(head_size + big_endian_16(rest.subspan(1)));
    }
    state_ = state::accepted;
}

void proxy_header::refuse(const char* why) noexcept {
    state_ = state::refused;
    peer_.reset();
    problem_ = why;
}

}  // namespace amqtt
