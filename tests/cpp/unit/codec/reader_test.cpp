#include "codec/reader.hpp"

#include <gtest/gtest.h>

#include "support/hex.hpp"

namespace amqtt {
namespace {

using test::byte_string;
using test::hex;
using test::to_bytes;

TEST(Reader, ReadsFieldsInOrder) {
    const byte_string data = hex("01 02 03 04 05 06 07 C1 02 00 03 'abc' 00 02 FF 00 08 09 0A");
    reader in(data);
    EXPECT_EQ(in.u8(), 0x01);
    EXPECT_EQ(in.u16(), 0x0203);
    EXPECT_EQ(in.u32(), 0x04050607U);
    EXPECT_EQ(in.varint(), 321U);
    EXPECT_EQ(in.utf8(), "abc");
    EXPECT_EQ(to_bytes(in.binary()), hex("FF 00"));
    EXPECT_EQ(to_bytes(in.bytes(1)), hex("08"));
    EXPECT_EQ(in.remaining(), 2U);
    EXPECT_FALSE(in.at_end());
    EXPECT_EQ(to_bytes(in.rest()), hex("09 0A"));
    EXPECT_TRUE(in.at_end());
    EXPECT_TRUE(in.ok());
}

TEST(Reader, NothingIsLeftOfNothing) {
    reader in{bytes_view{}};
    EXPECT_TRUE(in.ok());
    EXPECT_TRUE(in.at_end());
    EXPECT_EQ(in.remaining(), 0U);
    EXPECT_TRUE(in.rest().empty());
    EXPECT_TRUE(in.bytes(0).empty());
    EXPECT_TRUE(in.ok());
}

struct short_read {
    const char* name;
    const char* data;
    std::uint64_t (*read)(reader&);  // what is read, or its size
};

const short_read short_reads[] = {
    {"u8", "", [](reader& in) -> std::uint64_t { return in.u8(); }},
    {"u16 of nothing", "", [](reader& in) -> std::uint64_t { return in.u16(); }},
    {"u16 of one byte", "FF", [](reader& in) -> std::uint64_t { return in.u16(); }},
    {"u32 of nothing", "", [](reader& in) -> std::uint64_t { return in.u32(); }},
    {"u32 of one byte", "FF", [](reader& in) -> std::uint64_t { return in.u32(); }},
    {"u32 of two bytes", "FF FF", [](reader& in) -> std::uint64_t { return in.u32(); }},
    {"u32 of three bytes", "FF FF FF", [](reader& in) -> std::uint64_t { return in.u32(); }},
    {"bytes", "01 02", [](reader& in) -> std::uint64_t { return in.bytes(3).size(); }},
    {"no binary", "", [](reader& in) -> std::uint64_t { return in.binary().size(); }},
    {"half a length", "00", [](reader& in) -> std::uint64_t { return in.binary().size(); }},
    {"binary", "00 03 01 02", [](reader& in) -> std::uint64_t { return in.binary().size(); }},
    {"long binary", "FF FF 01", [](reader& in) -> std::uint64_t { return in.binary().size(); }},
    {"utf8", "00 03 'ab'", [](reader& in) -> std::uint64_t { return in.utf8().size(); }},
    {"no varint", "", [](reader& in) -> std::uint64_t { return in.varint(); }},
    {"cut varint", "FF FF FF", [](reader& in) -> std::uint64_t { return in.varint(); }},
    {"five-byte varint", "FF FF FF FF 7F", [](reader& in) -> std::uint64_t { return in.varint(); }},
};

TEST(Reader, ReadsNothingPastTheEndAndFailsForGood) {
    for (const short_read& c : short_reads) {
        SCOPED_TRACE(c.name);
        const byte_string data = hex(c.data);
        reader in(data);
        EXPECT_EQ(c.read(in), 0U);
        EXPECT_FALSE(in.ok());
        EXPECT_TRUE(in.at_end()) << "a loop over the rest must end";
        EXPECT_EQ(in.u8(), 0);
        EXPECT_EQ(in.u16(), 0);
        EXPECT_EQ(in.u32(), 0U);
        EXPECT_EQ(in.varint(), 0U);
        EXPECT_TRUE(in.utf8().empty());
        EXPECT_TRUE(in.rest().empty());
        EXPECT_FALSE(in.ok());
    }
}

// 5.0:MQTT-1.5.5-1@server
TEST(Reader, TakesVariableByteIntegersInTheShortestFormOnly) {
    for (const char* data : {"80 00", "FF 00", "80 80 00", "FF FF 00", "80 80 80 00"}) {
        const byte_string bytes = hex(data);
        reader in(bytes);
        EXPECT_EQ(in.varint(), 0U) << data;
        EXPECT_FALSE(in.ok()) << data;
    }
}

// 3.1.1:MQTT-1.5.3-1@server 3.1.1:MQTT-1.5.3-2@server
TEST(Reader, FailsOnIllFormedText) {
    for (const char* data : {"00 01 00", "00 01 FF", "00 03 ED A0 80", "00 02 C0 80"}) {
        const byte_string bytes = hex(data);
        reader in(bytes);
        in.utf8();
        EXPECT_FALSE(in.ok()) << data;
        in.rest();
        EXPECT_FALSE(in.ok()) << data;
    }
}

// 3.1.1:MQTT-1.5.3-3@server 5.0:MQTT-1.5.4-3@server
TEST(Reader, KeepsAByteOrderMark) {
    const byte_string data = hex("00 04 EF BB BF 61");
    reader in(data);
    EXPECT_EQ(in.utf8(),
              "\xEF\xBB\xBF"
              "a");
    EXPECT_TRUE(in.ok());
}

TEST(Reader, ReadsEmptyAndLongestText) {
    byte_string data = hex("00 00 00 00 FF FF");
    data.resize(data.size() + 65'535, 'x');
    reader in(data);
    EXPECT_TRUE(in.utf8().empty());
    EXPECT_TRUE(in.binary().empty());
    EXPECT_EQ(in.utf8(), std::string(65'535, 'x'));
    EXPECT_TRUE(in.ok());
    EXPECT_TRUE(in.at_end());
}

TEST(Reader, BinaryMayHoldAnyBytes) {
    const byte_string data = hex("00 03 00 FF C0");
    reader in(data);
    EXPECT_EQ(to_bytes(in.binary()), hex("00 FF C0"));
    EXPECT_TRUE(in.ok());
}

}  // namespace
}  // namespace amqtt
