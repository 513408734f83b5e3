#include "codec/packet.hpp"

#include <gtest/gtest.h>

#include "support/hex.hpp"

namespace amqtt {
namespace {

using test::byte_string;
using test::hex;
using enum protocol_version;

struct known_packet {
    packet_type type;
    protocol_version version;
    const char* bytes;
};

const known_packet packets[] = {
    {packet_type::connect, v3_1_1, "10 0D 00 04 'MQTT' 04 02 00 3C 00 01 'c'"},
    {packet_type::connack, v3_1_1, "20 02 00 00"},
    {packet_type::publish, v3_1_1, "30 04 00 01 't' 'x'"},
    {packet_type::puback, v3_1_1, "40 02 00 01"},
    {packet_type::pubrec, v5_0, "50 03 00 01 10"},
    {packet_type::pubrel, v3_1_1, "62 02 00 01"},
    {packet_type::pubcomp, v3_1_1, "70 02 00 01"},
    {packet_type::subscribe, v3_1_1, "82 06 00 01 00 01 't' 01"},
    {packet_type::suback, v5_0, "90 04 00 01 00 01"},
    {packet_type::unsubscribe, v3_1_1, "A2 05 00 01 00 01 't'"},
    {packet_type::unsuback, v3_1_1, "B0 02 00 01"},
    {packet_type::pingreq, v3_1_1, "C0 00"},
    {packet_type::pingresp, v3_1_1, "D0 00"},
    {packet_type::disconnect, v5_0, "E0 02 04 00"},
    {packet_type::auth, v5_0, "F0 07 18 05 15 00 02 'XY'"},
};

bool is_malformed(const byte_string& data, protocol_version version) {
    return !decode_packet(data, version);
}

class AnyPacket : public testing::TestWithParam<known_packet> {};

TEST_P(AnyPacket, IsDecodedByItsType) {
    const byte_string data = hex(GetParam().bytes);
    const auto packet = decode_packet(data, GetParam().version);
    ASSERT_TRUE(packet) << packet.error().what;
    EXPECT_EQ(packet->type, GetParam().type);
    EXPECT_EQ(packet->flags, data[0] & 0x0F);
    EXPECT_EQ(packet->remaining_length, data.size() - 2);
}

TEST_P(AnyPacket, MustBeWholeAndAlone) {
    const byte_string data = hex(GetParam().bytes);
    for (std::size_t size = 0; size < data.size(); ++size) {
        const byte_string part(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_TRUE(is_malformed(part, GetParam().version)) << size;
    }
    EXPECT_TRUE(is_malformed(test::concat(data, hex("00")), GetParam().version));
}

TEST_P(AnyPacket, MustHaveItsFlags) {
    byte_string data = hex(GetParam().bytes);
    data[0] ^= 0x0C;  // in PUBLISH: DUP, and QoS 2
    EXPECT_TRUE(is_malformed(data, GetParam().version));
}

INSTANTIATE_TEST_SUITE_P(Types, AnyPacket, testing::ValuesIn(packets));

TEST(DecodePacket, KeepsTheFields) {
    const byte_string data = hex("3B 06 00 01 't' 00 07 'x'");
    const auto packet = decode_packet(data, v3_1_1);
    ASSERT_TRUE(packet);
    const auto& publish = std::get<publish_packet>(packet->fields);
    EXPECT_EQ(publish.topic, "t");
    EXPECT_EQ(publish.packet_id, 7);
    EXPECT_TRUE(publish.dup);
    EXPECT_TRUE(publish.retain);
}

TEST(DecodePacket, LetsMqtt31RepeatWithDup) {
    EXPECT_FALSE(is_malformed(hex("8A 06 00 01 00 01 't' 01"), v3_1));
    EXPECT_TRUE(is_malformed(hex("8A 06 00 01 00 01 't' 01"), v3_1_1));
    EXPECT_TRUE(is_malformed(hex("48 02 00 01"), v3_1));
}

TEST(DecodePacket, BearsWhatItIsToldTo) {
    const byte_string subscribe = hex("8A 06 00 01 00 01 't' 01");
    EXPECT_TRUE(decode_packet(subscribe, v3_1_1, tolerance::dup_of_subscribe).has_value());
    const byte_string publish = hex("38 03 00 01 't'");
    EXPECT_TRUE(is_malformed(publish, v3_1_1));
    EXPECT_TRUE(decode_packet(publish, v3_1_1, tolerance::dup_at_qos_0).has_value());
}

TEST(DecodePacket, WantsTheShortestLengthInVersion5Only) {
    EXPECT_FALSE(is_malformed(hex("C0 80 00"), v3_1_1));
    EXPECT_TRUE(is_malformed(hex("C0 80 00"), v5_0));
    const byte_string connect = hex("10 8E 00 00 04 'MQTT' 05 02 00 00 00 00 01 'c'");
    EXPECT_TRUE(is_malformed(connect, v3_1_1));
}

TEST(DecodePacket, RefusesReservedTypesAndBodiesOfPings) {
    EXPECT_TRUE(is_malformed(hex("00 00"), v3_1_1));
    EXPECT_TRUE(is_malformed(hex("F0 00"), v3_1_1));
    EXPECT_TRUE(is_malformed(hex("C0 01 00"), v3_1_1));
    EXPECT_TRUE(is_malformed(hex("C0 FF FF FF FF 00"), v3_1_1));
}

TEST(ConnectFlags, AreThoseOfTheFields) {
    const byte_string data =
        hex("10 19 00 04 'MQTT' 04 EE 00 3C 00 01 'c' 00 01 'w' 00 01 'm' 00 01 'u' 00 01 'p'");
    const auto packet = decode_packet(data, v3_1_1);
    ASSERT_TRUE(packet) << packet.error().what;
    EXPECT_EQ(connect_flags(std::get<connect_packet>(packet->fields)), 0xEE);
    EXPECT_EQ(connect_flags(connect_packet{}), 0x02);
}

}  // namespace
}  // namespace amqtt
