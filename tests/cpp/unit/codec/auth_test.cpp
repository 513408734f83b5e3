#include "codec/auth.hpp"

#include <gtest/gtest.h>

#include "support/packets.hpp"

namespace amqtt {
namespace {

using test::byte_string;
using test::hex;
using test::outcome;

TEST(Auth, HasMethodAndData) {
    const byte_string body = hex("18 09 15 00 01 'm' 16 00 02 01 02");
    const auto p = decode_auth(body);
    ASSERT_TRUE(p);
    EXPECT_EQ(p->code, reason_code::continue_authentication);
    EXPECT_EQ(p->props.text(property_id::authentication_method), "m");
    EXPECT_EQ(test::to_bytes(p->props.binary(property_id::authentication_data)), hex("01 02"));
    byte_string out;
    EXPECT_TRUE(encode(*p, protocol_version::v5_0, out));
    EXPECT_EQ(out, hex("F0 0B 18 09 15 00 01 'm' 16 00 02 01 02"));
}

TEST(Auth, MayLeaveOffReasonAndProperties) {
    for (const char* body : {"", "00", "00 00"}) {
        const auto p = decode_auth(hex(body));
        ASSERT_TRUE(p) << body;
        EXPECT_EQ(p->code, reason_code::success);
        byte_string out;
        EXPECT_TRUE(encode(*p, protocol_version::v5_0, out));
        EXPECT_EQ(out, hex("F0 00"));
    }
}

// 5.0:MQTT-3.15.2-1
TEST(Auth, HasAReasonCodeOfItsOwn) {
    for (unsigned code = 0; code <= 0xFF; ++code) {
        const byte_string body{static_cast<std::uint8_t>(code)};
        const bool legal = code == 0x00 || code == 0x18 || code == 0x19;
        EXPECT_EQ(outcome(decode_auth(body)),
                  legal ? reason_code::success : reason_code::protocol_error);
    }
}

TEST(Auth, OfTheWrongShapeIsRefused) {
    const std::pair<const char*, reason_code> cases[] = {
        {"18 01", reason_code::malformed_packet},
        {"18 05 15 00 01 'm'", reason_code::malformed_packet},
        {"18 04 15 00 01 'm' 00", reason_code::malformed_packet},
        {"18 03 21 00 01", reason_code::malformed_packet},
        {"18 08 15 00 01 'm' 15 00 01 'm'", reason_code::protocol_error},
    };
    for (const auto& [body, expected] : cases)
        EXPECT_EQ(outcome(decode_auth(hex(body))), expected) << body;
}

TEST(Auth, IsNotEncodedWithDataThatIsTooLong) {
    const std::string too_long(65'536, 'x');
    auth_packet packet{reason_code::continue_authentication, {}};
    packet.props.add(property_id::authentication_data, as_bytes(too_long));
    byte_string out;
    EXPECT_FALSE(encode(packet, protocol_version::v5_0, out));
    EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace amqtt
