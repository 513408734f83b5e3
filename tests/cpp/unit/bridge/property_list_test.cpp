#include "bridge/property_list.hpp"

#include <gtest/gtest.h>

namespace amqtt::test {
namespace {

TEST(property_list, owns_what_it_has_decoded) {
    std::vector<std::uint8_t> encoded;
    EXPECT_TRUE(encode_property({property_id::message_expiry_interval, std::uint32_t{7}}, encoded));
    EXPECT_TRUE(encode_property({property_id::content_type, std::string_view("text")}, encoded));
    EXPECT_TRUE(encode_property({property_id::correlation_data, as_bytes("\x01\x02")}, encoded));
    EXPECT_TRUE(encode_property({property_id::user_property, user_property{"k", "v"}}, encoded));
    const property_list list = decode_properties(encoded, property_scope::publish);
    encoded.assign(encoded.size(), 0);
    ASSERT_EQ(list.size(), 4U);
    EXPECT_EQ(list[0].id, property_id::message_expiry_interval);
    EXPECT_EQ(std::get<std::uint32_t>(list[0].value), 7U);
    EXPECT_EQ(std::get<std::string>(list[1].value), "text");
    EXPECT_EQ(std::get<std::vector<std::uint8_t>>(list[2].value),
              (std::vector<std::uint8_t>{1, 2}));
    EXPECT_EQ((std::get<std::pair<std::string, std::string>>(list[3].value)),
              std::pair(std::string("k"), std::string("v")));
}

TEST(property_list, is_empty_for_nothing_and_for_nonsense) {
    EXPECT_TRUE(decode_properties({}, property_scope::publish).empty());
    EXPECT_TRUE(decode_properties(as_bytes("\x7f"), property_scope::publish).empty());
}

TEST(property_list, names_properties_as_the_standard_does) {
    EXPECT_STREQ(name_of(property_id::content_type), "content_type");
    EXPECT_STREQ(name_of(property_id::shared_subscription_available),
                 "shared_subscription_available");
}

}  // namespace
}  // namespace amqtt::test
