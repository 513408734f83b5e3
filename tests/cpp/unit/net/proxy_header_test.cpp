// The header of the PROXY protocol, after "The PROXY protocol, versions 1 & 2".
#include "net/proxy_header.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace amqtt::test {
namespace {

using state = proxy_header::state;
using source = proxy_header::source;

constexpr std::string_view behind = "\x10\x0c what follows";  // not the header's

// Takes a header in one piece with something behind it, and also byte by byte.
proxy_header read(const std::string& bytes) {
    proxy_header whole;
    const std::string all = bytes + std::string(behind);
    const std::size_t taken = whole.receive(as_bytes(all));
    proxy_header slow;
    for (const char c : all) {
        if (slow.status() != state::reading) break;
        slow.receive(as_bytes(std::string_view(&c, 1)));
    }
    EXPECT_EQ(slow.status(), whole.status());
    EXPECT_EQ(slow.peer(), whole.peer());
    if (whole.status() == state::accepted) {
        EXPECT_EQ(taken, bytes.size());
    }
    return whole;
}

std::string v2(std::uint8_t command, std::uint8_t family, const std::string& block) {
    std::string header("\r\n\r\n\0\r\nQUIT\n", 12);
    header += static_cast<char>(command);
    header += static_cast<char>(family);
    header += static_cast<char>(block.size() >> 8);
    header += static_cast<char>(block.size() & 0xFF);
    return header + block;
}

const std::string v4_block("\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x07\x5b", 12);
const std::string v6_block = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + '\x01' +
                             std::string(16, '\x02') + std::string("\x30\x39\x07\x5b", 4);

std::string extension(char type, const std::string& value) {
    return std::string{type, static_cast<char>(value.size() >> 8),
                       static_cast<char>(value.size() & 0xFF)} +
           value;
}

TEST(proxy_header, of_version_1_gives_the_source) {
    const auto v4 = read("PROXY TCP4 192.0.2.1 198.51.100.2 12345 1883\r\n");
    ASSERT_EQ(v4.status(), state::accepted);
    EXPECT_EQ(v4.peer(), (source{"192.0.2.1", 12345}));
    const auto v6 = read("PROXY TCP6 2001:DB8:0:0::1 ::1 65535 0\r\n");
    ASSERT_EQ(v6.status(), state::accepted);
    EXPECT_EQ(v6.peer(), (source{"2001:db8::1", 65535}));
}

TEST(proxy_header, of_version_1_may_say_unknown) {
    for (const char* line : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN any text up to the end\r\n",
                             "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"}) {
        const auto header = read(line);
        EXPECT_EQ(header.status(), state::accepted) << line;
        EXPECT_FALSE(header.peer()) << line;
    }
}

TEST(proxy_header, of_version_1_has_at_most_107_bytes) {
    const std::string start = "PROXY UNKNOWN ";
    for (const std::size_t size : {105U, 106U, 107U}) {
        EXPECT_EQ(read(start + std::string(size - 2 - start.size(), 'x') + "\r\n").status(),
                  state::accepted)
            << size;
    }
    for (const std::size_t size : {108U, 109U, 5000U}) {
        EXPECT_EQ(read(start + std::string(size - 2 - start.size(), 'x') + "\r\n").status(),
                  state::refused)
            << size;
    }
}

TEST(proxy_header, of_version_1_is_not_waited_for_without_end) {
    for (const std::size_t step : {1U, 2U, 3U, 1000U}) {
        proxy_header header;
        const std::string line = "PROXY UNKNOWN " + std::string(1000, 'x');
        std::size_t taken = 0;
        for (std::size_t at = 0; at < line.size() && header.status() == state::reading; at += step)
            taken += header.receive(as_bytes(line.substr(at, step)));
        EXPECT_EQ(header.status(), state::refused) << step;
        EXPECT_EQ(taken, 107U) << step;
    }
}

TEST(proxy_header, of_version_1_is_checked) {
    for (const char* line : {
             "PROXY TCP4 192.0.2.256 198.51.100.2 12345 1883\r\n",
             "PROXY TCP4 ::1 ::1 12345 1883\r\n",
             "PROXY TCP6 192.0.2.1 192.0.2.1 12345 1883\r\n",
             "PROXY TCP6 fe80::1%1 ::1 12345 1883\r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.2 65536 1883\r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.2 -1 1883\r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.2 012 1883\r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.2 12345\r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.2 12345 1883 1\r\n",
             "PROXY TCP4  192.0.2.1 198.51.100.2 12345 1883\r\n",
             "PROXY TCP4 192.0.2.1 198.51.100.2\r\n",
             "PROXY UDP4 192.0.2.1 198.51.100.2 12345 1883\r\n",
             "PROXY tcp4 192.0.2.1 198.51.100.2 12345 1883\r\n",
             "proxy TCP4 192.0.2.1 198.51.100.2 12345 1883\r\n",
         }) {
        const auto header = read(line);
        EXPECT_EQ(header.status(), state::refused) << line;
        EXPECT_FALSE(header.peer()) << line;
        EXPECT_STRNE(header.problem(), "") << line;
    }
}

TEST(proxy_header, of_version_2_gives_the_source) {
    const auto v4 = read(v2(0x21, 0x11, v4_block));
    ASSERT_EQ(v4.status(), state::accepted);
    EXPECT_EQ(v4.peer(), (source{"192.0.2.1", 12345}));
    const auto v6 = read(v2(0x21, 0x21, v6_block));
    ASSERT_EQ(v6.status(), state::accepted);
    EXPECT_EQ(v6.peer(), (source{"2001:db8::1", 12345}));
    const std::string path = "/run/app.sock";
    const std::string paths = path + std::string(108 - path.size(), '\0') + std::string(108, 'd');
    const auto local = read(v2(0x21, 0x31, paths));
    ASSERT_EQ(local.status(), state::accepted);
    EXPECT_EQ(local.peer(), (source{"unix:/run/app.sock", 0}));
    const auto full = read(v2(0x21, 0x31, std::string(216, 'p')));
    EXPECT_EQ(full.peer(), (source{"unix:" + std::string(108, 'p'), 0}));
}

TEST(proxy_header, of_version_2_may_name_nobody) {
    // LOCAL with any family and block; PROXY of a protocol that the proxy has no address for.
    for (const auto& bytes : {v2(0x20, 0x00, ""), v2(0x20, 0x11, v4_block), v2(0x20, 0xFF, "odd"),
                              v2(0x21, 0x00, ""), v2(0x21, 0x00, "odd")}) {
        const auto header = read(bytes);
        EXPECT_EQ(header.status(), state::accepted);
        EXPECT_FALSE(header.peer());
    }
}

TEST(proxy_header, of_version_2_skips_extensions) {
    const std::string some = extension('\x02', "host.example") + extension('\x04', "") +
                             extension('\x20', std::string(300, 's'));
    const auto header = read(v2(0x21, 0x11, v4_block + some));
    ASSERT_EQ(header.status(), state::accepted);
    EXPECT_EQ(header.peer(), (source{"192.0.2.1", 12345}));
}

TEST(proxy_header, of_version_2_is_checked) {
    const std::vector<std::string> bad = {
        v2(0x11, 0x11, v4_block),                               // version 1
        v2(0x31, 0x11, v4_block),                               // version 3
        v2(0x22, 0x11, v4_block),                               // command
        v2(0x21, 0x12, v4_block),                               // UDP
        v2(0x21, 0x41, v4_block),                               // family
        v2(0x21, 0x11, v4_block.substr(1)),                     // too short
        v2(0x21, 0x21, v4_block),                               // likewise
        v2(0x21, 0x31, std::string(215, 'p')),                  // likewise
        v2(0x21, 0x11, v4_block + "\x02"),                      // half a head
        v2(0x21, 0x11, v4_block + std::string("\x02\x00", 2)),  // likewise
        v2(0x21, 0x11,
           v4_block + std::string("\x02\x00\x02"
                                  "a",
                                  4)),                                  // value is short
        v2(0x21, 0x11, v4_block + extension('\x02', "host") + "\x01"),  // rest
    };
    for (std::size_t i = 0; i < bad.size(); ++i) {
        const auto header = read(bad[i]);
        EXPECT_EQ(header.status(), state::refused) << i;
        EXPECT_FALSE(header.peer()) << i;
    }
}

// The length is refused before its bytes have come.
TEST(proxy_header, is_bounded) {
    const std::string start = v2(0x21, 0x11, "").substr(0, 14);
    proxy_header header;
    header.receive(as_bytes(start + std::string("\x3f\xf1", 2)));
    EXPECT_EQ(header.status(), state::refused);
    proxy_header largest;
    largest.receive(as_bytes(start + std::string("\x3f\xf0", 2)));
    EXPECT_EQ(largest.status(), state::reading);
}

TEST(proxy_header, is_missed_at_the_first_byte_that_differs) {
    for (const std::string_view other :
         {std::string_view("\x10"), std::string_view("\x16\x03\x01"), std::string_view("GET /"),
          std::string_view("PROXX"), std::string_view("\r\n\r\n\0\r\nQUIX", 11)}) {
        proxy_header header;
        header.receive(as_bytes(other));
        EXPECT_EQ(header.status(), state::refused) << other;
    }
}

}  // namespace
}  // namespace amqtt::test
