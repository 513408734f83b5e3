#include "websocket/websocket_upgrade.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "base/log.hpp"
#include "net/asio.hpp"
#include "websocket/http_list.hpp"
#include "websocket/websocket_request.hpp"

namespace amqtt {
namespace {

namespace http = boost::beast::http;
using request = http::request<http::empty_body>;

constexpr std::string_view end_of_header = "\r\n\r\n";

// In the order of preference: that of 3.1.1 and 5.0, that of some clients of MQTT 3.1.
constexpr std::array<const char*, 2> subprotocols = {"mqtt", "mqttv3.1"};

// The one of ours that the client offers, or nullptr. Names are compared by case (RFC 6455, 11.5).
const char* choose_subprotocol(const request& r) {
    for (const char* const ours : subprotocols) {
        const auto is_ours = [ours](boost::beast::string_view offered) { return offered == ours; };
        if (any_token(r, http::field::sec_websocket_protocol, is_ours)) return ours;
    }
    return nullptr;
}

// (RFC 6455, 4.2.1)
bool is_upgrade(const request& r) {
    return r.version() >= 11 && r.method() == http::verb::get &&
           has_token(r, http::field::connection, "upgrade") &&
           has_token(r, http::field::upgrade, "websocket") && r.count(http::field::host) == 1;
}

// 16 bytes in base64.
bool is_key(std::string_view key) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return key.size() == 24 && key.ends_with("==") &&
           key.find_first_not_of(digits) == key.size() - 2;
}

std::string_view path_of(std::string_view target) {
    return target.substr(0, target.find('?'));
}

std::string_view view_of(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

}  // namespace

std::size_t websocket_upgrade::receive(bytes_view input) {
    const std::size_t before = request_.size();
    const std::size_t room = largest_request - before;
    request_ += as_text(input.first(std::min(input.size(), room)));
    // The end of the header may have begun in earlier input.
    const std::size_t from = before - std::min(before, end_of_header.size() - 1);
    const std::size_t found = request_.find(end_of_header, from);
    if (found != std::string::npos) {
        request_.resize(found + end_of_header.size());
        decide();
        return request_.size() - before;
    }
    if (request_.size() == largest_request) {
        refuse("431 Request Header Fields Too Large", "request of more than 8 KiB");
    }
    return request_.size() - before;
}

void websocket_upgrade::decide() {
    http::request_parser<http::empty_body> parser;
    parser.skip(true);  // a body would be no frame
    error_code error;
    parser.put(asio::buffer(request_), error);
    if (error || !parser.is_header_done()) {
        refuse("400 Bad Request", "no HTTP request");
        return;
    }
    const request& r = parser.get();
    const auto version = r[http::field::sec_websocket_version];
    const auto key = view_of(r[http::field::sec_websocket_key]);
    const auto origin = r[http::field::origin];
    const auto is_origin = [&](const std::string& one) {
        return boost::beast::iequals(origin, one);
    };
    const char* const subprotocol = choose_subprotocol(r);
    if (!settings_.path.empty() && path_of(view_of(r.target())) != settings_.path) {
        refuse("404 Not Found", "path '" + printable(path_of(view_of(r.target()))) + "'");
    } else if (!is_upgrade(r)) {
        refuse("400 Bad Request", "no WebSocket handshake");
    } else if (version != "13") {
        refuse("426 Upgrade Required", "other version of WebSocket",
               "Sec-WebSocket-Version: 13\r\n");
    } else if (!is_key(key) || r.count(http::field::sec_websocket_key) != 1) {
        refuse("400 Bad Request", "bad Sec-WebSocket-Key");
    } else if (!settings_.origins.empty() && !origin.empty() &&
               std::none_of(settings_.origins.begin(), settings_.origins.end(), is_origin)) {
        refuse("403 Forbidden", "origin '" + printable(view_of(origin)) + "'");
    } else if (subprotocol == nullptr) {
        refuse("400 Bad Request", "subprotocol 'mqtt' is not offered");
    } else {
        state_ = state::accepted;
        response_ =
            "HTTP/1.1 101 Switching Protocols\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Accept: " +
            websocket_accept(key) +
            "\r\n"
            "Sec-WebSocket-Protocol: " +
            subprotocol + "\r\n\r\n";
    }
}

void websocket_upgrade::refuse(const char* status, const std::string& why, const char* header) {
    state_ = state::refused;
    problem_ = std::string("WebSocket handshake refused: ") + status + ": " + why;
    response_ = std::string("HTTP/1.1 ") + status + "\r\n" + header +
                "Connection: close\r\n"
                "Content-Type: text/plain; charset=utf-8\r\n"
                "Content-Length: " +
                std::to_string(why.size() + 1) + "\r\n\r\n" + why + "\n";
}

}  // namespace amqtt
