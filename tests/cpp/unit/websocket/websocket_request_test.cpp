#include "websocket/websocket_request.hpp"

#include <gtest/gtest.h>

#include "support/wire.hpp"
#include "websocket/websocket_frames.hpp"

namespace amqtt::test {
namespace {

// The example of RFC 6455, section 1.3.
const std::string nonce = "the sample nonce";
const std::string accepted =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

websocket_request request_of(std::vector<std::pair<std::string, std::string>> headers = {}) {
    return {{"there:81", "/a?b", std::move(headers)}, as_bytes(nonce)};
}

// 5.0:MQTT-6.0.0-3@client 3.1.1:MQTT-6.0.0-3@client
TEST(websocket_request_test, asks_as_rfc_6455_says) {
    EXPECT_EQ(request_of({{"X-Own", "1"}}).text(),
              "GET /a?b HTTP/1.1\r\nHost: there:81\r\nUpgrade: websocket\r\n"
              "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\nX-Own: 1\r\n\r\n");
}

TEST(websocket_request_test, leaves_what_follows_the_answer) {
    for (std::size_t cut = 0; cut <= accepted.size(); ++cut) {
        websocket_request request = request_of();
        const std::string stream = accepted + "frames";
        const std::size_t first = request.receive(as_bytes(stream.substr(0, cut)));
        EXPECT_EQ(first, cut);
        if (cut < accepted.size()) {
            EXPECT_EQ(request.status(), websocket_request::state::reading);
            EXPECT_EQ(request.receive(as_bytes(stream.substr(cut))), accepted.size() - cut);
        }
        EXPECT_EQ(request.status(), websocket_request::state::accepted);
    }
}

// (RFC 9110, 5.3)
TEST(websocket_request_test, joins_the_lines_of_a_list) {
    const std::pair<const char*, const char*> changes[] = {
        {"Connection: keep-alive, Upgrade", "Connection: keep-alive\r\nConnection: upgrade"},
        {"Upgrade: WebSocket", "Upgrade: h2c\r\nUpgrade: websocket"},
    };
    for (const auto& [from, to] : changes) {
        std::string answer = accepted;
        answer.replace(answer.find(from), std::string_view(from).size(), to);
        websocket_request request = request_of();
        request.receive(as_bytes(answer));
        EXPECT_EQ(request.status(), websocket_request::state::accepted) << request.problem();
    }
}

TEST(websocket_request_test, refuses_other_answers) {
    const std::pair<const char*, const char*> changes[] = {
        {"101 Switching", "200 Switching"},
        {"Upgrade: WebSocket", "Upgrade: h2c"},
        {"keep-alive, Upgrade", "keep-alive"},
        {"s3pPLMBi", "S3pPLMBi"},
        {"Protocol: mqtt", "Protocol: mqttv3"},
        {"Sec-WebSocket-Protocol: mqtt\r\n", ""},
        {"Protocol: mqtt", "Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate"},
    };
    for (const auto& [from, to] : changes) {
        std::string answer = accepted;
        answer.replace(answer.find(from), std::string_view(from).size(), to);
        websocket_request request = request_of();
        request.receive(as_bytes(answer));
        EXPECT_EQ(request.status(), websocket_request::state::refused) << to;
        EXPECT_TRUE(request.problem().starts_with("WebSocket handshake failed: "));
    }
}

TEST(websocket_request_test, frames_of_servers_have_no_mask) {
    websocket_decoder good(websocket_decoder::role::client);
    bytes frames = wire("02 02 'ab' 89 01 'p' 80 7e 00 80") + bytes(128, 'x');
    ASSERT_EQ(good.decode(frames), 130U);
    EXPECT_EQ(as_text(bytes_view(frames).first(4)), "abxx");
    EXPECT_EQ(good.take_ping(), "p");
    websocket_decoder bad(websocket_decoder::role::client);
    bytes masked = wire("82 81 00 00 00 00 'a'");
    EXPECT_EQ(bad.decode(masked), 0U);
    EXPECT_EQ(bad.status(), websocket_decoder::state::failed);
    EXPECT_STREQ(bad.what(), "frame with a mask");
}

}  // namespace
}  // namespace amqtt::test
