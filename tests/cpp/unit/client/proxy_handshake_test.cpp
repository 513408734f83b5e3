#include "client/proxy_handshake.hpp"

#include <gtest/gtest.h>

#include "support/wire.hpp"

namespace amqtt::test {
namespace {

proxy_settings proxy(proxy_settings::kind how, std::string user_name = {}) {
    proxy_settings settings;
    settings.how = how;
    settings.user_name = std::move(user_name);
    settings.password = settings.user_name.empty() ? "" : "pw";
    return settings;
}

// Feeds no more at once than is wanted.
void feed(proxy_handshake& handshake, const bytes& input) {
    std::size_t at = 0;
    while (at < input.size() && handshake.status() == proxy_handshake::state::talking) {
        const std::size_t size = std::min(handshake.wanted(), input.size() - at);
        handshake.receive(bytes_view(input).subspan(at, size));
        at += size;
    }
    EXPECT_EQ(at, input.size()) << "bytes of the broker were taken, or the answer was cut short";
}

TEST(proxy_handshake_test, asks_for_a_tunnel) {
    proxy_handshake handshake(proxy(proxy_settings::kind::http, "us"), "::1", 1883);
    EXPECT_EQ(handshake.take_output(),
              "CONNECT [::1]:1883 HTTP/1.1\r\nHost: [::1]:1883\r\n"
              "Proxy-Authorization: Basic dXM6cHc=\r\n\r\n");
    EXPECT_EQ(handshake.take_output(), "");
    feed(handshake, wire("'HTTP/1.1 200 Go' 0d 0a 'Via: x' 0d 0a 0d 0a"));
    EXPECT_EQ(handshake.status(), proxy_handshake::state::connected);
}

TEST(proxy_handshake_test, says_why_there_is_no_tunnel) {
    proxy_handshake refused(proxy(proxy_settings::kind::http), "h", 1);
    feed(refused, wire("'HTTP/1.1 403 Forbidden' 0d 0a 0d 0a"));
    EXPECT_EQ(refused.problem(), "it refused with 403 Forbidden");
    proxy_handshake strange(proxy(proxy_settings::kind::http), "h", 1);
    feed(strange, wire("'nothing' 0d 0a 0d 0a"));
    EXPECT_EQ(strange.problem(), "its answer is no HTTP response");
    proxy_handshake endless(proxy(proxy_settings::kind::http), "h", 1);
    feed(endless, bytes(16 * 1024 + 1, 'x'));
    EXPECT_EQ(endless.status(), proxy_handshake::state::failed);
}

TEST(proxy_handshake_test, speaks_socks5) {
    proxy_handshake handshake(proxy(proxy_settings::kind::socks5, "us"), "host", 0x0102);
    EXPECT_EQ(handshake.take_output(), std::string("\x05\x02\x00\x02", 4));
    feed(handshake, wire("05 02"));
    EXPECT_EQ(handshake.take_output(), "\x01\x02us\x02pw");
    feed(handshake, wire("01 00"));
    EXPECT_EQ(handshake.take_output(), std::string("\x05\x01\x00\x03\x04host\x01\x02", 11));
    feed(handshake, wire("05 00 00 03 02 'ab' 00 00"));  // bound to a name
    EXPECT_EQ(handshake.status(), proxy_handshake::state::connected);
    for (const char* bound : {"05 00 00 01 00*4 00 00", "05 00 00 04 00*16 00 00"}) {
        proxy_handshake plain(proxy(proxy_settings::kind::socks5), "host", 1);
        feed(plain, wire("05 00"));
        feed(plain, wire(bound));
        EXPECT_EQ(plain.status(), proxy_handshake::state::connected);
    }
}

TEST(proxy_handshake_test, says_why_socks5_failed) {
    const std::pair<const char*, const char*> all[] = {
        {"04 00", "it does not speak SOCKS5"},
        {"05 ff", "it wants a user name and a password"},
        {"05 02", "it wants a user name and a password"},
        {"05 00 05 05 00 01 00", "it answered: connection refused"},
        {"05 00 05 63 00 01 00", "it answered: unknown failure"},
        {"05 00 05 00 00 07 00", "its answer has an address of unknown type"},
    };
    for (const auto& [answer, problem] : all) {
        proxy_handshake handshake(proxy(proxy_settings::kind::socks5), "host", 1);
        feed(handshake, wire(answer));
        EXPECT_EQ(handshake.problem(), problem) << answer;
    }
    proxy_handshake wrong(proxy(proxy_settings::kind::socks5, "us"), "host", 1);
    feed(wrong, wire("05 02 01 01"));
    EXPECT_EQ(wrong.problem(), "it refused user name and password");
    const proxy_handshake too_long(proxy(proxy_settings::kind::socks5), std::string(256, 'h'), 1);
    EXPECT_EQ(too_long.status(), proxy_handshake::state::failed);
}

}  // namespace
}  // namespace amqtt::test
