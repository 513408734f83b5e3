#include "codec/reason_codes.hpp"

#include <map>
#include <set>

#include <gtest/gtest.h>

namespace amqtt {
namespace {

// The table of section 2.4 of MQTT 5.0.
const std::map<packet_type, std::set<unsigned>> legal{
    {packet_type::connack, {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
                            0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F}},
    {packet_type::puback, {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}},
    {packet_type::pubrec, {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}},
    {packet_type::pubrel, {0x00, 0x92}},
    {packet_type::pubcomp, {0x00, 0x92}},
    {packet_type::suback, {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2}},
    {packet_type::unsuback, {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91}},
    {packet_type::disconnect,
     {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94,
      0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2}},
    {packet_type::auth, {0x00, 0x18, 0x19}},
};

TEST(ReasonCodes, AreThoseOfTheStandardForEachPacket) {
    for (unsigned number = 0; number < 16; ++number) {
        const auto type = static_cast<packet_type>(number);
        const auto found = legal.find(type);
        const std::set<unsigned> expected =
            found == legal.end() ? std::set<unsigned>{} : found->second;
        for (unsigned code = 0; code <= 0xFF; ++code) {
            EXPECT_EQ(is_legal(type, static_cast<reason_code>(code)), expected.contains(code))
                << "packet " << number << ", code " << code;
        }
    }
}

// Of one packet, those that only one side may send.
const std::map<packet_type, std::set<unsigned>> of_server{
    {packet_type::disconnect,
     {0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2}},
    {packet_type::auth, {0x00}},
};
const std::map<packet_type, std::set<unsigned>> of_client{
    {packet_type::disconnect, {0x04}},
    {packet_type::auth, {0x19}},
};

// 5.0:MQTT-3.14.2-1 5.0:MQTT-3.15.2-1
TEST(ReasonCodes, DependOnWhoSendsThePacket) {
    const auto has = [](const auto& table, packet_type type, unsigned code) {
        const auto found = table.find(type);
        return found != table.end() && found->second.contains(code);
    };
    for (unsigned number = 0; number < 16; ++number) {
        const auto type = static_cast<packet_type>(number);
        for (unsigned value = 0; value <= 0xFF; ++value) {
            const auto code = static_cast<reason_code>(value);
            EXPECT_EQ(is_legal(type, code, sender::client),
                      has(legal, type, value) && !has(of_server, type, value))
                << "packet " << number << ", code " << value;
            EXPECT_EQ(is_legal(type, code, sender::server),
                      has(legal, type, value) && !has(of_client, type, value))
                << "packet " << number << ", code " << value;
        }
    }
}

TEST(ReasonCodes, OfAServerAreLegalWhateverItWantsToSay) {
    EXPECT_EQ(legal_for_server(packet_type::puback, reason_code::quota_exceeded),
              reason_code::quota_exceeded);
    EXPECT_EQ(legal_for_server(packet_type::puback, reason_code::banned),
              reason_code::unspecified_error);
    EXPECT_EQ(legal_for_server(packet_type::disconnect, reason_code::disconnect_with_will),
              reason_code::unspecified_error);
}

}  // namespace
}  // namespace amqtt
