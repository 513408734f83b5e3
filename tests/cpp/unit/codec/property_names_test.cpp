#include "codec/property_names.hpp"

#include <gtest/gtest.h>

namespace amqtt {
namespace {

constexpr int last_identifier = 0x2A;

TEST(PropertyNames, FindTheirIdentifiersAgain) {
    int named = 0;
    for (int number = 0; number <= last_identifier; ++number) {
        const auto id = static_cast<property_id>(number);
        const std::string_view name = property_name(id);
        if (name.empty()) continue;
        ++named;
        EXPECT_EQ(property_by_name(name), id) << name;
    }
    EXPECT_EQ(named, 27);  // rows of the table in section 2.2.2.2
}

TEST(PropertyNames, AreThoseOfTheStandard) {
    EXPECT_EQ(property_name(property_id::receive_maximum), "receive_maximum");
    EXPECT_EQ(property_name(static_cast<property_id>(0x04)), "");
    EXPECT_EQ(property_by_name("Receive Maximum"), std::nullopt);
}

TEST(PropertyKind, FollowsTheDataType) {
    EXPECT_EQ(kind_of(property_id::topic_alias), property_kind::integer);
    EXPECT_EQ(kind_of(property_id::content_type), property_kind::text);
    EXPECT_EQ(kind_of(property_id::correlation_data), property_kind::binary);
    EXPECT_EQ(kind_of(property_id::user_property), property_kind::pair);
}

TEST(PropertyValue, IsLegalWithinItsRangeAndWidth) {
    EXPECT_TRUE(is_legal_value(property_id::payload_format_indicator, 1));
    EXPECT_FALSE(is_legal_value(property_id::payload_format_indicator, 2));
    EXPECT_FALSE(is_legal_value(property_id::receive_maximum, 0));
    EXPECT_TRUE(is_legal_value(property_id::server_keep_alive, 65'535));
    EXPECT_FALSE(is_legal_value(property_id::server_keep_alive, 65'536));
    EXPECT_FALSE(is_legal_value(property_id::subscription_identifier, 268'435'456));
    EXPECT_TRUE(is_legal_value(property_id::message_expiry_interval, 0xFFFFFFFF));
}

TEST(PropertyScope, BelongsToThePacketsThatHaveProperties) {
    EXPECT_EQ(property_scope_of(packet_type::publish), property_scope::publish);
    EXPECT_EQ(property_scope_of(packet_type::auth), property_scope::auth);
    EXPECT_EQ(property_scope_of(packet_type::pingreq), std::nullopt);
    EXPECT_EQ(property_scope_of(packet_type::reserved), std::nullopt);
}

}  // namespace
}  // namespace amqtt
