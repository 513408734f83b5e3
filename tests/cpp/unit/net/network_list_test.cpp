#include "net/network_list.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

namespace amqtt::test {
namespace {

bool has(const network_list& list, const char* address) {
    return list.contains(asio::ip::make_address(address));
}

TEST(network_list, knows_addresses_and_networks) {
    const network_list list({"192.0.2.1", "10.1.2.3/8", "2001:db8::1", "fd00::/9"});
    for (const char* in : {"192.0.2.1", "10.0.0.0", "10.255.255.255", "::ffff:10.0.0.1",
                           "2001:db8::1", "fd00::1", "fd7f:ffff::"}) {
        EXPECT_TRUE(has(list, in)) << in;
    }
    for (const char* out : {"192.0.2.2", "11.0.0.0", "9.255.255.255", "2001:db8::2",
                            "fd80::", "fc00::1", "::ffff:11.0.0.1", "::1"}) {
        EXPECT_FALSE(has(list, out)) << out;
    }
}

TEST(network_list, may_hold_everything_or_nothing) {
    const network_list all({"0.0.0.0/0", "::/0"});
    EXPECT_TRUE(has(all, "203.0.113.9"));
    EXPECT_TRUE(has(all, "2001:db8::9"));
    const network_list v4_only({"0.0.0.0/0"});
    EXPECT_FALSE(has(v4_only, "2001:db8::9"));
    EXPECT_FALSE(has(network_list({}), "127.0.0.1"));
}

TEST(network_list, refuses_what_is_no_network) {
    for (const char* bad :
         {"", "localhost", "10.0.0.0/33", "10.0.0/8", "::/129", "::1/", "1.2.3.4/x"})
        EXPECT_THROW(network_list({bad}), std::invalid_argument) << bad;
}

}  // namespace
}  // namespace amqtt::test
