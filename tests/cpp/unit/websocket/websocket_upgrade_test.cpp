#include "websocket/websocket_upgrade.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace amqtt {
namespace {

using state = websocket_upgrade::state;

const std::string common =
    "Host: example.com\r\n"
    "Upgrade: websocket\r\n"
    "Connection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\n";
const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const std::string protocol = "Sec-WebSocket-Protocol: mqtt\r\n";
const std::string good = "GET /mqtt HTTP/1.1\r\n" + common + key + protocol + "\r\n";

std::string replaced(std::string text, std::string_view what, std::string_view by) {
    const std::size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), by);
}

// The status line, byte by byte and whole.
std::string answer_to(const std::string& request, const websocket_settings& settings = {}) {
    websocket_upgrade whole(settings);
    whole.receive(as_bytes(request));
    websocket_upgrade pieces(settings);
    for (std::size_t at = 0; at < request.size() && pieces.status() == state::reading; ++at)
        EXPECT_EQ(pieces.receive(as_bytes(std::string_view(request).substr(at, 1))), 1U);
    EXPECT_EQ(pieces.response(), whole.response());
    EXPECT_EQ(pieces.status(), whole.status());
    EXPECT_EQ(whole.problem().empty(), whole.status() != state::refused);
    return whole.response().substr(0, whole.response().find("\r\n"));
}

const std::string accepted = "HTTP/1.1 101 Switching Protocols";
const std::string bad = "HTTP/1.1 400 Bad Request";

TEST(WebsocketUpgrade, AcceptsAndLeavesWhatFollows) {
    const websocket_settings settings;
    websocket_upgrade upgrade(settings);
    EXPECT_EQ(upgrade.receive(as_bytes(good + "\x82\x80more")), good.size());
    EXPECT_EQ(upgrade.status(), state::accepted);
    EXPECT_EQ(upgrade.response(),
              "HTTP/1.1 101 Switching Protocols\r\n"
              "Upgrade: websocket\r\n"
              "Connection: Upgrade\r\n"
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
              "Sec-WebSocket-Protocol: mqtt\r\n\r\n");
}

TEST(WebsocketUpgrade, ChoosesTheSubprotocol) {
    const websocket_settings settings;
    const auto chosen = [&](const std::string& offered) {
        websocket_upgrade upgrade(settings);
        upgrade.receive(as_bytes(replaced(good, protocol, offered)));
        const std::string& response = upgrade.response();
        const std::string name = "Sec-WebSocket-Protocol: ";
        const std::size_t at = response.find(name);
        if (at == std::string::npos) return response.substr(9, 3);
        const std::size_t begin = at + name.size();
        return response.substr(begin, response.find("\r\n", begin) - begin);
    };
    EXPECT_EQ(chosen("Sec-WebSocket-Protocol: mqttv3.1\r\n"), "mqttv3.1");
    EXPECT_EQ(chosen("Sec-WebSocket-Protocol: mqttv3.1, other, mqtt\r\n"), "mqtt");
    EXPECT_EQ(chosen("sec-websocket-protocol: a\r\nSEC-WEBSOCKET-PROTOCOL: b,mqtt\r\n"), "mqtt");
    EXPECT_EQ(chosen("Sec-WebSocket-Protocol: MQTT\r\n"), "400");
    EXPECT_EQ(chosen("Sec-WebSocket-Protocol: chat\r\n"), "400");
    EXPECT_EQ(chosen(""), "400");
}

TEST(WebsocketUpgrade, RefusesWhatIsNoHandshake) {
    EXPECT_EQ(answer_to(good), accepted);
    EXPECT_EQ(answer_to(replaced(good, "GET", "POST")), bad);
    EXPECT_EQ(answer_to(replaced(good, "HTTP/1.1", "HTTP/1.0")), bad);
    EXPECT_EQ(answer_to(replaced(good, "Host: example.com\r\n", "")), bad);
    EXPECT_EQ(answer_to(replaced(good, "Upgrade: websocket", "Upgrade: h2c")), bad);
    EXPECT_EQ(answer_to(replaced(good, "keep-alive, Upgrade", "close")), bad);
    EXPECT_EQ(answer_to(replaced(good, key, "")), bad);
    EXPECT_EQ(answer_to(replaced(good, "ZQ==", "ZQ=")), bad);
    EXPECT_EQ(answer_to(replaced(good, "ZQ==", "Z===")), bad);
    EXPECT_EQ(answer_to(replaced(good, "Version: 13", "Version: 8")),
              "HTTP/1.1 426 Upgrade Required");
    EXPECT_EQ(answer_to("\x10\x0c no HTTP at all \r\n\r\n"), bad);
    EXPECT_EQ(answer_to("\r\n\r\n"), bad);
    EXPECT_EQ(answer_to(""), "");
}

// (RFC 9110, 5.3) Proxies add lines of their own.
TEST(WebsocketUpgrade, JoinsTheLinesOfAList) {
    const std::string upgrade = "Connection: keep-alive, Upgrade\r\n";
    EXPECT_EQ(
        answer_to(replaced(good, upgrade, "Connection: keep-alive\r\nConnection: Upgrade\r\n")),
        accepted);
    EXPECT_EQ(answer_to(replaced(good, upgrade, "Connection: upgrade\r\nConnection: close\r\n")),
              accepted);
    EXPECT_EQ(answer_to(replaced(good, "Upgrade: websocket\r\n",
                                 "Upgrade: h2c\r\nUpgrade: other, WebSocket\r\n")),
              accepted);
    EXPECT_EQ(answer_to(replaced(good, upgrade, "Connection: close\r\nConnection: keep-alive\r\n")),
              bad);
    // These are no lists.
    EXPECT_EQ(answer_to(replaced(good, key, key + key)), bad);
    EXPECT_EQ(answer_to(replaced(good, "Host: example.com", "Host: a\r\nHost: b")), bad);
}

TEST(WebsocketUpgrade, BoundsTheRequest) {
    const std::string filler = "X-Filler: ";
    const auto with_size = [&](std::size_t size) {
        const std::size_t more = size - good.size() - filler.size() - 2;
        return replaced(good, key, key + filler + std::string(more, 'x') + "\r\n");
    };
    EXPECT_EQ(answer_to(with_size(websocket_upgrade::largest_request)), accepted);
    EXPECT_EQ(answer_to(with_size(websocket_upgrade::largest_request + 1)),
              "HTTP/1.1 431 Request Header Fields Too Large");
    EXPECT_EQ(answer_to(std::string(100'000, 'x')), "HTTP/1.1 431 Request Header Fields Too Large");
}

TEST(WebsocketUpgrade, ServesOnePathWhenTold) {
    const websocket_settings settings{"/mqtt", {}};
    EXPECT_EQ(answer_to(good, settings), accepted);
    EXPECT_EQ(answer_to(replaced(good, "/mqtt", "/mqtt?a=b"), settings), accepted);
    EXPECT_EQ(answer_to(replaced(good, "/mqtt", "/"), settings), "HTTP/1.1 404 Not Found");
    EXPECT_EQ(answer_to(replaced(good, "/mqtt", "/mqtt/"), settings), "HTTP/1.1 404 Not Found");
    EXPECT_EQ(answer_to(replaced(good, "/mqtt", "/any/other")), accepted);
}

TEST(WebsocketUpgrade, ChecksTheOriginWhenTold) {
    const websocket_settings settings{"", {"https://a.example", "https://b.example:8443"}};
    const auto from = [&](const std::string& origin) {
        return replaced(good, key, key + "Origin: " + origin + "\r\n");
    };
    EXPECT_EQ(answer_to(from("https://b.example:8443"), settings), accepted);
    EXPECT_EQ(answer_to(from("HTTPS://A.example"), settings), accepted);
    EXPECT_EQ(answer_to(good, settings), accepted);
    for (const char* other : {"http://a.example", "https://a.example.evil", "null"})
        EXPECT_EQ(answer_to(from(other), settings), "HTTP/1.1 403 Forbidden");
    EXPECT_EQ(answer_to(from("https://anywhere.example")), accepted);
}

}  // namespace
}  // namespace amqtt
