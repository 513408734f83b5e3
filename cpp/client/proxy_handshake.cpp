#include "client/proxy_handshake.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "base/log.hpp"
#include "net/asio.hpp"
#include "websocket/websocket_request.hpp"

namespace amqtt {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t largest_response = 16 * 1024;
constexpr std::size_t longest_field = 255;  // of SOCKS5, which has one byte for a length
constexpr char socks_version = 5;
constexpr char without_authentication = 0;
constexpr char by_password = 2;
constexpr char connect_request = 1;
constexpr char domain_name = 3;

const char* socks_error(std::uint8_t code) {
    static constexpr std::array<const char*, 9> texts = {
        "succeeded",           "general failure",       "not allowed by its rules",
        "network unreachable", "host unreachable",      "connection refused",
        "TTL expired",         "command not supported", "address type not supported",
    };
    return code < texts.size() ? texts[code] : "unknown failure";
}

std::string authority(const std::string& host, std::uint16_t port) {
    const bool is_ipv6 = host.find(':') != std::string::npos;
    return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

void append_counted(std::string& out, const std::string& text) {
    out += static_cast<char>(text.size());
    out += text;
}

}  // namespace

proxy_handshake::proxy_handshake(const proxy_settings& proxy, std::string host, std::uint16_t port)
    : host_(std::move(host)), port_(port), user_name_(proxy.user_name), password_(proxy.password) {
    if (proxy.how == proxy_settings::kind::http) {
        begin_http(proxy);
        return;
    }
    if (host_.size() > longest_field || user_name_.size() > longest_field ||
        password_.size() > longest_field) {
        fail("host, user name and password must be at most 255 bytes for SOCKS5");
        return;
    }
    output_ = {socks_version, 1, without_authentication};
    if (!user_name_.empty()) output_ = {socks_version, 2, without_authentication, by_password};
    expect(step::method, 2);
}

std::string proxy_handshake::take_output() {
    return std::exchange(output_, {});
}

void proxy_handshake::expect(step next, std::size_t bytes) {
    step_ = next;
    wanted_ = bytes;
    input_.clear();
}

void proxy_handshake::fail(std::string why) {
    state_ = state::failed;
    problem_ = std::move(why);
}

void proxy_handshake::receive(bytes_view input) {
    input_ += as_text(input);
    if (step_ == step::http_response) {
        receive_http();
        return;
    }
    wanted_ -= std::min(wanted_, input.size());
    if (wanted_ == 0) receive_socks();
}

// -- HTTP

void proxy_handshake::begin_http(const proxy_settings& proxy) {
    const std::string target = authority(host_, port_);
    output_ = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
    if (!proxy.user_name.empty()) {
        const std::string credentials = proxy.user_name + ":" + proxy.password;
        output_ += "Proxy-Authorization: Basic " + to_base64(as_bytes(credentials)) + "\r\n";
    }
    output_ += "\r\n";
}

// Byte by byte: what follows the header belongs to the broker.
void proxy_handshake::receive_http() {
    if (input_.size() > largest_response) {
        fail("its answer has more than 16 KiB");
        return;
    }
    if (!input_.ends_with("\r\n\r\n")) return;
    http::response_parser<http::empty_body> parser;
    parser.skip(true);
    error_code error;
    parser.put(asio::buffer(input_), error);
    if (error || !parser.is_header_done()) {
        fail("its answer is no HTTP response");
        return;
    }
    const unsigned status = parser.get().result_int();
    if (status / 100 == 2) {
        state_ = state::connected;
        return;
    }
    const auto reason = parser.get().reason();
    fail("it refused with " + std::to_string(status) + " " +
         printable({reason.data(), reason.size()}));
}

// -- SOCKS5

void proxy_handshake::receive_socks() {
    const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(input_[at]); };
    switch (step_) {
        case step::method:
            if (input_[0] != socks_version) {
                fail("it does not speak SOCKS5");
            } else {
                choose_method(byte(1));
            }
            break;
        case step::verdict:
            if (byte(1) != 0) {
                fail("it refused user name and password");
            } else {
                request_connection();
            }
            break;
        case step::reply_head:
            read_reply_head();
            break;
        case step::reply_address:
        case step::http_response:
            state_ = state::connected;
            break;
    }
}

void proxy_handshake::choose_method(std::uint8_t method) {
    if (method == without_authentication) {
        request_connection();
    } else if (method == by_password && !user_name_.empty()) {
        output_.assign(1, '\1');  // version of RFC 1929
        append_counted(output_, user_name_);
        append_counted(output_, password_);
        expect(step::verdict, 2);
    } else {
        fail(user_name_.empty() ? "it wants a user name and a password"
                                : "it accepts no way to authenticate that the client knows");
    }
}

void proxy_handshake::request_connection() {
    output_ = {socks_version, connect_request, 0, domain_name};
    append_counted(output_, host_);
    output_ += {static_cast<char>(port_ >> 8), static_cast<char>(port_ & 0xFF)};
    expect(step::reply_head, 5);
}

// The address in the reply, of which the first byte has come, is of no interest.
void proxy_handshake::read_reply_head() {
    const auto code = static_cast<std::uint8_t>(input_[1]);
    if (input_[0] != socks_version || code != 0) {
        fail(std::string("it answered: ") + socks_error(code));
        return;
    }
    const auto first = static_cast<std::uint8_t>(input_[4]);
    switch (input_[3]) {
        case 1:
            expect(step::reply_address, 3 + 2);
            break;
        case domain_name:
            expect(step::reply_address, first + std::size_t{2});
            break;
        case 4:
            expect(step::reply_address, 15 + 2);
            break;
        default:
            fail("its answer has an address of unknown type");
    }
}

}  // namespace amqtt
