#include "codec/framer.hpp"

#include <gtest/gtest.h>

#include "support/hex.hpp"

namespace amqtt {
namespace {

using status = framing::status;
using test::byte_string;
using test::hex;

constexpr std::size_t no_limit = 268'435'460;

byte_string packet_with(const char* header, std::size_t body) {
    byte_string packet = hex(header);
    packet.resize(packet.size() + body, 0x5A);
    return packet;
}

TEST(Framer, CutsOutOnePacket) {
    const byte_string data = hex("3D 03 01 02 03 C0 00");
    const framing found = next_frame(data, no_limit);
    ASSERT_EQ(found.state, status::complete);
    EXPECT_EQ(found.packet.type, packet_type::publish);
    EXPECT_EQ(found.packet.flags, 0x0D);
    EXPECT_EQ(test::to_bytes(found.packet.body), hex("01 02 03"));
    EXPECT_EQ(found.packet.body.data(), data.data() + 2);
    EXPECT_EQ(found.packet.size, 5U);
}

TEST(Framer, KnowsAllTypesAndFlags) {
    for (int first = 0; first <= 0xFF; ++first) {
        const byte_string data{static_cast<std::uint8_t>(first), 0};
        const framing found = next_frame(data, no_limit);
        ASSERT_EQ(found.state, status::complete);
        EXPECT_EQ(static_cast<int>(found.packet.type), first >> 4);
        EXPECT_EQ(found.packet.flags, first & 0x0F);
        EXPECT_TRUE(found.packet.body.empty());
        EXPECT_EQ(found.packet.size, 2U);
    }
}

struct size_case {
    const char* header;
    std::size_t body;
};

constexpr size_case sizes[] = {
    {"30 00", 0},
    {"30 01", 1},
    {"30 7F", 127},
    {"30 80 01", 128},
    {"30 FF 7F", 16'383},
    {"30 80 80 01", 16'384},
    {"30 FF FF 7F", 2'097'151},
    {"30 80 80 80 01", 2'097'152},
};

TEST(Framer, FindsTheEndForEveryLengthOfRemainingLength) {
    for (const auto& [header, body] : sizes) {
        const byte_string packet = packet_with(header, body);
        const framing found = next_frame(packet, no_limit);
        ASSERT_EQ(found.state, status::complete) << header;
        EXPECT_EQ(found.packet.body.size(), body) << header;
        EXPECT_EQ(found.packet.size, packet.size()) << header;
    }
}

TEST(Framer, NeedsMoreUntilTheLastByte) {
    for (const auto& [header, body] : sizes) {
        if (body > 1000) continue;
        SCOPED_TRACE(header);
        const byte_string packet = packet_with(header, body);
        const std::size_t header_size = packet.size() - body;
        for (std::size_t n = 0; n < packet.size(); ++n) {
            const byte_string part(packet.begin(), packet.begin() + static_cast<long>(n));
            const framing found = next_frame(part, no_limit);
            ASSERT_EQ(found.state, status::incomplete) << n;
            ASSERT_GT(found.needed, n);
            ASSERT_LE(found.needed, packet.size());
            ASSERT_TRUE(n < header_size || found.needed == packet.size());
        }
    }
}

// Taking exactly what is needed, again and again, ends at the end of the packet.
TEST(Framer, NeededLeadsToTheEndOfThePacket) {
    for (const auto& [header, body] : sizes) {
        const byte_string packet = packet_with(header, body);
        std::size_t have = 0;
        framing found = next_frame({}, no_limit);
        while (found.state == status::incomplete) {
            have = found.needed;
            ASSERT_LE(have, packet.size());
            found = next_frame(bytes_view(packet).first(have), no_limit);
        }
        EXPECT_EQ(found.state, status::complete) << header;
        EXPECT_EQ(have, packet.size()) << header;
    }
}

TEST(Framer, RemainingLengthHasAtMostFourBytes) {
    for (const char* data :
         {"30 80 80 80 80", "30 FF FF FF FF", "30 80 80 80 80 01", "30 FF FF FF FF 7F 00"}) {
        EXPECT_EQ(next_frame(hex(data), no_limit).state, status::malformed) << data;
    }
    EXPECT_EQ(next_frame(hex("30 FF FF FF"), no_limit).state, status::incomplete);
}

TEST(Framer, MaxSizeCountsTheWholePacket) {
    for (const auto& [header, body] : sizes) {
        SCOPED_TRACE(header);
        const byte_string packet = packet_with(header, body);
        EXPECT_EQ(next_frame(packet, packet.size()).state, status::complete);
        EXPECT_EQ(next_frame(packet, packet.size() - 1).state, status::too_large);
    }
}

TEST(Framer, SeesFromTheHeaderThatAPacketIsTooLarge) {
    EXPECT_EQ(next_frame(hex("30 80 80 01"), 16'387).state, status::too_large);
    EXPECT_EQ(next_frame(hex("30 80 80 01"), 16'388).state, status::incomplete);
    EXPECT_EQ(next_frame(hex("30 FF FF FF 7F"), 268'435'459).state, status::too_large);
    const framing largest = next_frame(hex("30 FF FF FF 7F"), no_limit);
    EXPECT_EQ(largest.state, status::incomplete);
    EXPECT_EQ(largest.needed, 268'435'460U);
}

TEST(Framer, AcceptsALongerFormOfRemainingLength) {
    const byte_string data = hex("C0 80 00 30");
    const framing found = next_frame(data, no_limit);
    ASSERT_EQ(found.state, status::complete);
    EXPECT_TRUE(found.packet.body.empty());
    EXPECT_EQ(found.packet.size, 3U);
}

bool is_right(const char* packet, protocol_version version, tolerances tolerated = {}) {
    const byte_string data = hex(packet);
    const framing found = next_frame(data, no_limit);
    return fixed_header_problem(found.packet, version, tolerated) == nullptr;
}

TEST(FixedHeader, HasTheFlagsOfItsType) {
    for (const auto version : {protocol_version::v3_1, protocol_version::v5_0}) {
        EXPECT_TRUE(is_right("C0 00", version));
        EXPECT_FALSE(is_right("C8 00", version));
        EXPECT_TRUE(is_right("82 00", version));
        EXPECT_FALSE(is_right("80 00", version));
        EXPECT_FALSE(is_right("83 00", version));
        EXPECT_TRUE(is_right("3F 00", version)) << "flags of PUBLISH";
    }
}

TEST(FixedHeader, MayHaveDupInMqtt31AndWhereItIsBorne) {
    EXPECT_TRUE(is_right("8A 00", protocol_version::v3_1));
    EXPECT_FALSE(is_right("8A 00", protocol_version::v3_1_1));
    EXPECT_TRUE(is_right("8A 00", protocol_version::v3_1_1, tolerance::dup_of_subscribe));
    EXPECT_FALSE(is_right("CA 00", protocol_version::v3_1, tolerance::dup_of_subscribe));
}

TEST(FixedHeader, HasTheShortestLengthInMqtt5) {
    EXPECT_TRUE(is_right("C0 80 00", protocol_version::v3_1_1));
    EXPECT_FALSE(is_right("C0 80 00", protocol_version::v5_0));
    EXPECT_FALSE(is_right("30 80 00", protocol_version::v5_0)) << "PUBLISH";
}

}  // namespace
}  // namespace amqtt
