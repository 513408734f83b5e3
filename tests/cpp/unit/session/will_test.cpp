#include "session/will.hpp"

#include <gtest/gtest.h>

#include "support/hex.hpp"

namespace amqtt {
namespace {

TEST(WillMessage, OwnsWhatItWasMadeFrom) {
    std::string topic = "w/t";
    std::string payload("a\0\xFF", 3);
    const will_message will({topic, as_bytes(payload), qos::exactly_once, true, {}});
    topic = payload = "---";
    EXPECT_EQ(will.topic, "w/t");
    EXPECT_EQ(will.payload, std::string("a\0\xFF", 3));
    EXPECT_EQ(will.level, qos::exactly_once);
    EXPECT_TRUE(will.retain);
}

TEST(WillMessage, HasDefaults) {
    const will_message will(will_fields{"w", {}, qos::at_most_once, false, {}});
    EXPECT_TRUE(will.payload.empty());
    EXPECT_FALSE(will.retain);
    EXPECT_EQ(will.delay, 0U);
    EXPECT_TRUE(will.forwarded.empty());
    EXPECT_FALSE(will.expiry_interval);
}

TEST(WillMessage, TakesItsPropertiesApart) {
    will_fields fields{"w", {}, qos::at_most_once, false, {}};
    fields.props.add(property_id::will_delay_interval, 5);
    fields.props.add(property_id::payload_format_indicator, 1);
    fields.props.add(property_id::message_expiry_interval, 0);
    fields.props.add("n", "v");
    const will_message will(fields);
    EXPECT_EQ(will.delay, 5U);
    EXPECT_EQ(will.expiry_interval, 0U);
    EXPECT_EQ(will.forwarded, test::hex("01 01 26 00 01 'n' 00 01 'v'"));
}

}  // namespace
}  // namespace amqtt
