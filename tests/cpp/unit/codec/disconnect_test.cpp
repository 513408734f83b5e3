#include "codec/disconnect.hpp"

#include <gtest/gtest.h>

#include "support/packets.hpp"

namespace amqtt {
namespace {

using test::byte_string;
using test::hex;
using test::outcome;

TEST(Disconnect, HasNoBodyInVersion3) {
    for (const protocol_version version : {protocol_version::v3_1, protocol_version::v3_1_1}) {
        const auto p = decode_disconnect({}, version);
        ASSERT_TRUE(p);
        EXPECT_EQ(p->code, reason_code::success);
        EXPECT_EQ(outcome(decode_disconnect(hex("00"), version)), reason_code::malformed_packet);
        byte_string out;
        EXPECT_TRUE(encode({reason_code::server_busy, {}}, version, out));
        EXPECT_EQ(out, hex("E0 00"));
    }
}

TEST(Disconnect, MayLeaveOffReasonAndPropertiesInVersion5) {
    struct {
        const char* body;
        reason_code code;
        bool properties;
    } const cases[] = {
        {"", reason_code::success, false},
        {"00", reason_code::success, false},
        {"04", reason_code::disconnect_with_will, false},
        {"8E 00", reason_code::session_taken_over, false},
        {"00 05 11 00 00 00 0A", reason_code::success, true},
        {"9D 07 1C 00 04 'host'", reason_code::server_moved, true},
    };
    for (const auto& c : cases) {
        SCOPED_TRACE(c.body);
        const byte_string body = hex(c.body);
        const auto p = decode_disconnect(body, protocol_version::v5_0);
        ASSERT_TRUE(p);
        EXPECT_EQ(p->code, c.code);
        EXPECT_EQ(!p->props.empty(), c.properties);
    }
}

TEST(Disconnect, OfTheWrongShapeIsRefused) {
    const std::pair<const char*, reason_code> cases[] = {
        {"00 01", reason_code::malformed_packet},
        {"00 00 00", reason_code::malformed_packet},
        {"00 80 00", reason_code::malformed_packet},
        {"00 05 11 00 00 00", reason_code::malformed_packet},
        {"00 03 21 00 01", reason_code::malformed_packet},
        {"00 05 11 00 00 00 0A 00", reason_code::malformed_packet},
        {"00 0A 11 00 00 00 0A 11 00 00 00 0A", reason_code::protocol_error},
    };
    for (const auto& [body, expected] : cases) {
        EXPECT_EQ(outcome(decode_disconnect(hex(body), protocol_version::v5_0)), expected) << body;
    }
}

TEST(Disconnect, IsEncodedInItsShortestForm) {
    const auto encoded = [](const disconnect_packet& packet) {
        byte_string out;
        EXPECT_TRUE(encode(packet, protocol_version::v5_0, out));
        return out;
    };
    EXPECT_EQ(encoded({}), hex("E0 00"));
    EXPECT_EQ(encoded({reason_code::keep_alive_timeout, {}}), hex("E0 01 8D"));
    disconnect_packet packet;
    packet.props.add(property_id::session_expiry_interval, 10);
    EXPECT_EQ(encoded(packet), hex("E0 07 00 05 11 00 00 00 0A"));
    packet.code = reason_code::disconnect_with_will;
    EXPECT_EQ(encoded(packet), hex("E0 07 04 05 11 00 00 00 0A"));
}

TEST(Disconnect, IsNotEncodedWithTextThatIsTooLong) {
    const std::string too_long(65'536, 'x');
    disconnect_packet packet{reason_code::server_moved, {}};
    packet.props.add(property_id::server_reference, std::string_view(too_long));
    byte_string out;
    EXPECT_FALSE(encode(packet, protocol_version::v5_0, out));
    EXPECT_TRUE(out.empty());
    EXPECT_TRUE(encode(packet, protocol_version::v3_1_1, out));  // which has no properties
}

TEST(Disconnect, MayHaveCodesThatOnlyItsSenderMaySend) {
    const auto from = [](const char* body, sender who) {
        return outcome(decode_disconnect(hex(body), protocol_version::v5_0, who));
    };
    EXPECT_EQ(from("04", sender::client), reason_code::success);
    EXPECT_EQ(from("04", sender::server), reason_code::protocol_error);
    EXPECT_EQ(from("8B", sender::server), reason_code::success);
    EXPECT_EQ(from("8B", sender::client), reason_code::protocol_error);
}

}  // namespace
}  // namespace amqtt
