#include "codec/writer.hpp"

#include <gtest/gtest.h>

#include "codec/reader.hpp"
#include "support/hex.hpp"

namespace amqtt {
namespace {

using test::byte_string;
using test::hex;

TEST(Writer, AppendsFieldsBigEndian) {
    byte_string out = hex("AA");
    writer to(out);
    to.u8(0x01);
    to.u16(0x0203);
    to.u32(0x04050607);
    to.varint(321);
    to.bytes(hex("FF 00"));
    to.binary(hex("FE"));
    to.utf8("abc");
    to.utf8("");
    EXPECT_EQ(out, hex("AA 01 02 03 04 05 06 07 C1 02 FF 00 00 01 FE 00 03 'abc' 00 00"));
}

TEST(Writer, WritesTheLongestText) {
    byte_string out;
    const std::string longest(65'535, 'x');
    writer(out).utf8(longest);
    reader in(out);
    EXPECT_EQ(in.utf8(), longest);
    EXPECT_TRUE(in.at_end());
}

TEST(Writer, SaysWhenSomethingHasNoEncoding) {
    const std::string too_long(65'536, 'x');
    byte_string out;
    writer text(out);
    text.u8(1);
    EXPECT_TRUE(text.ok());
    text.utf8(too_long);
    EXPECT_FALSE(text.ok());
    text.u8(2);
    EXPECT_FALSE(text.ok());
    EXPECT_EQ(out, hex("01 02"));  // and not a length that does not fit
    writer number(out);
    number.varint(varint_max);
    EXPECT_TRUE(number.ok());
    number.varint(std::uint64_t{varint_max} + 1);
    EXPECT_FALSE(number.ok());
}

TEST(WritePacket, RefusesABodyThatRemainingLengthCannotCount) {
    const std::uint8_t byte = 0;
    const bytes_view body(&byte, std::size_t{varint_max} + 1);  // which is not looked at
    byte_string out = hex("AA");
    EXPECT_FALSE(write_packet(out, packet_type::suback, body));
    EXPECT_EQ(out, hex("AA"));
}

TEST(WritePacket, PutsTheFixedHeaderBeforeTheBody) {
    const std::pair<std::size_t, const char*> cases[] = {
        {0, "C0 00"},
        {1, "C0 01"},
        {127, "C0 7F"},
        {128, "C0 80 01"},
        {16'383, "C0 FF 7F"},
        {16'384, "C0 80 80 01"},
        {2'097'151, "C0 FF FF 7F"},
        {2'097'152, "C0 80 80 80 01"},
    };
    for (const auto& [size, header] : cases) {
        const byte_string body(size, 0xAB);
        byte_string out;
        EXPECT_TRUE(write_packet(out, packet_type::pingreq, body));
        EXPECT_TRUE(out == test::concat(hex(header), body)) << size;
    }
}

// 3.1.1:MQTT-2.2.2-1@client 5.0:MQTT-2.1.3-1@client
TEST(WritePacket, SetsTheRequiredFlags) {
    const std::pair<packet_type, const char*> cases[] = {
        {packet_type::connect, "10 00"},     {packet_type::connack, "20 00"},
        {packet_type::puback, "40 00"},      {packet_type::pubrec, "50 00"},
        {packet_type::pubrel, "62 00"},      {packet_type::pubcomp, "70 00"},
        {packet_type::subscribe, "82 00"},   {packet_type::suback, "90 00"},
        {packet_type::unsubscribe, "A2 00"}, {packet_type::unsuback, "B0 00"},
        {packet_type::pingreq, "C0 00"},     {packet_type::pingresp, "D0 00"},
        {packet_type::disconnect, "E0 00"},  {packet_type::auth, "F0 00"},
    };
    for (const auto& [type, expected] : cases) {
        byte_string out;
        EXPECT_TRUE(write_packet(out, type, {}));
        EXPECT_EQ(out, hex(expected));
    }
}

}  // namespace
}  // namespace amqtt
