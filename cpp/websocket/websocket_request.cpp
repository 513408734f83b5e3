#include "websocket/websocket_request.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <openssl/evp.h>

#include "base/log.hpp"
#include "net/asio.hpp"
#include "websocket/http_list.hpp"

namespace amqtt {
namespace {

namespace http = boost::beast::http;

constexpr std::string_view end_of_header = "\r\n\r\n";
// The one of MQTT (5.0: MQTT-6.0.0-3).
constexpr std::string_view subprotocol = "mqtt";

}  // namespace

std::string to_base64(bytes_view data) {
    std::vector<unsigned char> encoded(4 * (data.size() / 3 + 1) + 1);
    const int size = EVP_EncodeBlock(encoded.data(), data.data(), static_cast<int>(data.size()));
    return {encoded.begin(), encoded.begin() + size};
}

std::string websocket_accept(std::string_view key) {
    std::string text(key);
    text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) {
        return {};
    }
    return to_base64(bytes_view(digest).first(size));
}

websocket_request::websocket_request(const websocket_request_settings& settings, bytes_view nonce)
    : key_(to_base64(nonce)) {
    text_ = "GET " + settings.target + " HTTP/1.1\r\nHost: " + settings.host +
            "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + key_ +
            "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ";
    text_ += subprotocol;
    text_ += "\r\n";
    for (const auto& [name, value] : settings.headers)
        text_ += name + ": " + value + "\r\n";
    text_ += "\r\n";
}

std::size_t websocket_request::receive(bytes_view input) {
    const std::size_t before = response_.size();
    const std::size_t room = largest_response - before;
    response_ += as_text(input.first(std::min(input.size(), room)));
    const std::size_t from = before - std::min(before, end_of_header.size() - 1);
    const std::size_t found = response_.find(end_of_header, from);
    if (found != std::string::npos) {
        response_.resize(found + end_of_header.size());
        decide();
    } else if (response_.size() == largest_response) {
        refuse("the answer has more than 16 KiB");
    }
    return response_.size() - before;
}

void websocket_request::decide() {
    http::response_parser<http::empty_body> parser;
    parser.skip(true);
    error_code error;
    parser.put(asio::buffer(response_), error);
    if (error || !parser.is_header_done()) {
        refuse("the answer is no HTTP response");
        return;
    }
    const auto& answer = parser.get();
    const auto chosen = answer[http::field::sec_websocket_protocol];
    const auto accept = answer[http::field::sec_websocket_accept];
    if (answer.result() != http::status::switching_protocols) {
        const auto reason = answer.reason();
        refuse("the server answered " + std::to_string(answer.result_int()) + " " +
               printable({reason.data(), reason.size()}));
    } else if (!has_token(answer, http::field::upgrade, "websocket") ||
               !has_token(answer, http::field::connection, "upgrade")) {
        refuse("the answer is no upgrade to WebSocket");
    } else if (std::string_view(accept.data(), accept.size()) != websocket_accept(key_)) {
        refuse("the answer has a wrong Sec-WebSocket-Accept");
    } else if (answer.count(http::field::sec_websocket_extensions) != 0) {
        refuse("the server uses an extension that was not offered");
    } else if (std::string_view(chosen.data(), chosen.size()) != subprotocol) {
        refuse("the server does not speak the subprotocol 'mqtt'");
    } else {
        state_ = state::accepted;
    }
}

void websocket_request::refuse(std::string why) {
    state_ = state::refused;
    problem_ = "WebSocket handshake failed: " + std::move(why);
}

}  // namespace amqtt
