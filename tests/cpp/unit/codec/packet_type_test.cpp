#include "codec/packet_type.hpp"

#include <gtest/gtest.h>

namespace amqtt {
namespace {

TEST(PacketType, FirstByteHoldsTypeAndFlags) {
    EXPECT_EQ(first_byte(packet_type::connect), 0x10);
    EXPECT_EQ(first_byte(packet_type::publish, 0x0D), 0x3D);
    EXPECT_EQ(first_byte(packet_type::auth), 0xF0);
}

// 3.1.1:MQTT-2.2.2-1@server 5.0:MQTT-2.1.3-1@server
TEST(PacketType, ThreeTypesRequireFlagOne) {
    for (std::uint8_t number = 0; number < 16; ++number) {
        const bool special = number == 6 || number == 8 || number == 10;
        EXPECT_EQ(required_flags(static_cast<packet_type>(number)), special ? 2 : 0) << +number;
    }
}

}  // namespace
}  // namespace amqtt
