#include "codec/subscribe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/packets.hpp"

namespace amqtt {
namespace {

using test::body_of;
using test::byte_string;
using test::hex;
using test::outcome;
using testing::ElementsAre;

constexpr protocol_version v3 = protocol_version::v3_1_1;
constexpr protocol_version v5 = protocol_version::v5_0;

struct example {
    protocol_version version;
    const char* packet;
};

TEST(Subscribe, IsEncodedAsItWasDecoded) {
    const example cases[] = {
        {protocol_version::v3_1, "82 06 00 01 00 01 'a' 00"},
        {v3, "82 06 00 01 00 01 'a' 01"},
        {v3, "82 0C FF FF 00 03 'a/#' 02 00 01 '+' 00"},
        {v5, "82 07 00 01 00 00 01 'a' 00"},
        {v5, "82 10 00 01 02 0B 05 00 01 'a' 2E 00 04 'b' C3 A9 'c' 1D"},
    };
    for (const auto& [version, source] : cases) {
        SCOPED_TRACE(source);
        const byte_string packet = hex(source);
        const auto p = decode_subscribe(body_of(packet), version);
        ASSERT_TRUE(p) << p.error().what;
        byte_string again;
        EXPECT_TRUE(encode(*p, version, again));
        EXPECT_EQ(again, packet);
    }
}

TEST(Subscribe, HasFiltersInTheirOrder) {
    const byte_string body = hex("12 34 02 0B 05 00 03 'a/#' 2E 00 01 '+' 11");
    const auto p = decode_subscribe(body, v5);
    ASSERT_TRUE(p);
    EXPECT_EQ(p->packet_id, 0x1234);
    EXPECT_EQ(p->props.integer(property_id::subscription_identifier, 0), 5U);
    ASSERT_EQ(p->requests.size(), 2U);
    EXPECT_EQ(p->requests[0].filter, "a/#");
    EXPECT_EQ(p->requests[0].options,
              (subscription_options{qos::exactly_once, true, true, retain_handling::do_not_send}));
    EXPECT_EQ(p->requests[1].filter, "+");
    EXPECT_EQ(p->requests[1].options, (subscription_options{qos::at_least_once, false, false,
                                                            retain_handling::send_if_new}));
}

// 3.1.1:MQTT-3.8.3-4@server
TEST(Subscribe, OptionsOfVersion3AreTheQosAlone) {
    for (int byte = 0; byte <= 0xFF; ++byte) {
        byte_string body = hex("00 01 00 01 'a'");
        body.push_back(static_cast<std::uint8_t>(byte));
        const auto p = decode_subscribe(body, v3);
        ASSERT_EQ(p.has_value(), byte <= 2) << byte;
        EXPECT_TRUE(!p || to_byte(p->requests[0].options.level) == byte);
    }
}

// 5.0:MQTT-3.8.3-5@server
TEST(Subscribe, OptionsOfVersion5AreChecked) {
    for (int byte = 0; byte <= 0xFF; ++byte) {
        SCOPED_TRACE(byte);
        byte_string body = hex("00 01 00 00 01 'a'");
        body.push_back(static_cast<std::uint8_t>(byte));
        const int handling = (byte >> 4) & 3;
        const auto p = decode_subscribe(body, v5);
        if (byte & 0xC0) {
            EXPECT_EQ(outcome(p), reason_code::malformed_packet);
        } else if ((byte & 3) == 3 || handling == 3) {
            EXPECT_EQ(outcome(p), reason_code::protocol_error);
        } else {
            ASSERT_TRUE(p);
            const subscription_options expected{static_cast<qos>(byte & 3), (byte & 4) != 0,
                                                (byte & 8) != 0,
                                                static_cast<retain_handling>(handling)};
            EXPECT_EQ(p->requests[0].options, expected);
            byte_string again;
            EXPECT_TRUE(encode(*p, v5, again));
            EXPECT_EQ(again.back(), byte);
        }
    }
}

TEST(Subscribe, SendsOnlyTheQosInVersion3) {
    subscribe_packet packet;
    packet.packet_id = 1;
    packet.requests = {{"a", {qos::at_least_once, true, true, retain_handling::do_not_send}}};
    byte_string out;
    EXPECT_TRUE(encode(packet, v3, out));
    EXPECT_EQ(out, hex("82 06 00 01 00 01 'a' 01"));
}

struct refused {
    protocol_version version;
    const char* body;
    reason_code expected;
};

// 3.1.1:MQTT-2.3.1-1@server 3.1.1:MQTT-3.8.3-1@server 3.1.1:MQTT-3.8.3-3@server
// 5.0:MQTT-2.2.1-3@server 5.0:MQTT-3.8.3-2@server
TEST(Subscribe, OfTheWrongShapeIsRefused) {
    const refused cases[] = {
        {v3, "", reason_code::malformed_packet},
        {v3, "00", reason_code::malformed_packet},
        {v3, "00 00 00 01 'a' 00", reason_code::protocol_error},
        {v3, "00 01", reason_code::protocol_error},
        {v3, "00 01 00", reason_code::malformed_packet},
        {v3, "00 01 00 01 'a'", reason_code::malformed_packet},
        {v3, "00 01 00 02 'a' 00", reason_code::malformed_packet},
        {v3, "00 01 00 01 'a' 00 00", reason_code::malformed_packet},
        {v3, "00 01 00 01 'a' 00 00 01 'b'", reason_code::malformed_packet},
        {v3, "00 01 00 01 00 00", reason_code::malformed_packet},
        {v3, "00 01 00 01 FF 00", reason_code::malformed_packet},
        {v3, "00 01 00 03 ED B0 80 00", reason_code::malformed_packet},
        {v5, "00", reason_code::malformed_packet},
        {v5, "00 01", reason_code::malformed_packet},
        {v5, "00 00 00 00 01 'a' 00", reason_code::protocol_error},
        {v5, "00 01 00", reason_code::protocol_error},
        {v5, "00 01 02 0B 00 00 01 'a' 00", reason_code::protocol_error},
        {v5, "00 01 04 0B 01 0B 02 00 01 'a' 00", reason_code::protocol_error},
        {v5, "00 01 02 01 00 00 01 'a' 00", reason_code::malformed_packet},
        {v5, "00 01 7F 00 01 'a' 00", reason_code::malformed_packet},
        {v5, "00 01 00 00 01 'a'", reason_code::malformed_packet},
    };
    for (const refused& c : cases)
        EXPECT_EQ(outcome(decode_subscribe(hex(c.body), c.version)), c.expected) << c.body;
}

// 3.1.1:MQTT-4.7.3-1@server
TEST(Subscribe, AndUnsubscribeRefuseAnEmptyFilter) {
    EXPECT_FALSE(decode_subscribe(hex("00 01 00 00 00"), v3));
    EXPECT_FALSE(decode_subscribe(hex("00 01 00 00 00 00"), v5));
    EXPECT_FALSE(decode_subscribe(hex("00 01 00 01 'a' 00 00 00 00"), v3));
    EXPECT_FALSE(decode_unsubscribe(hex("00 01 00 00"), v3));
    EXPECT_FALSE(decode_unsubscribe(hex("00 01 00 00 00"), v5));
}

TEST(Unsubscribe, IsEncodedAsItWasDecoded) {
    const example cases[] = {
        {protocol_version::v3_1, "A2 05 00 01 00 01 'a'"},
        {v3, "A2 0A FF FF 00 03 'a/#' 00 01 '+'"},
        {v5, "A2 06 00 01 00 00 01 'a'"},
        {v5, "A2 0D 00 01 07 26 00 01 'n' 00 01 'v' 00 01 'a'"},
    };
    for (const auto& [version, source] : cases) {
        SCOPED_TRACE(source);
        const byte_string packet = hex(source);
        const auto p = decode_unsubscribe(body_of(packet), version);
        ASSERT_TRUE(p) << p.error().what;
        byte_string again;
        EXPECT_TRUE(encode(*p, version, again));
        EXPECT_EQ(again, packet);
    }
}

TEST(Unsubscribe, HasFiltersInTheirOrder) {
    const byte_string body = hex("00 07 00 01 'b' 00 03 'a/#' 00 01 'b'");
    const auto p = decode_unsubscribe(body, v3);
    ASSERT_TRUE(p);
    EXPECT_EQ(p->packet_id, 7);
    EXPECT_THAT(p->filters, ElementsAre("b", "a/#", "b"));
}

// 3.1.1:MQTT-3.10.3-1@server 3.1.1:MQTT-3.10.3-2@server
TEST(Unsubscribe, OfTheWrongShapeIsRefused) {
    const refused cases[] = {
        {v3, "", reason_code::malformed_packet},
        {v3, "00 00 00 01 'a'", reason_code::protocol_error},
        {v3, "00 01", reason_code::protocol_error},
        {v3, "00 01 00", reason_code::malformed_packet},
        {v3, "00 01 00 02 'a'", reason_code::malformed_packet},
        {v3, "00 01 00 01 'a' 00", reason_code::malformed_packet},
        {v3, "00 01 00 01 00", reason_code::malformed_packet},
        {v3, "00 01 00 01 80", reason_code::malformed_packet},
        {v5, "00 01", reason_code::malformed_packet},
        {v5, "00 01 00", reason_code::protocol_error},
        {v5, "00 01 02 0B 01 00 01 'a'", reason_code::malformed_packet},
        {v5, "00 00 00 00 01 'a'", reason_code::protocol_error},
    };
    for (const refused& c : cases)
        EXPECT_EQ(outcome(decode_unsubscribe(hex(c.body), c.version)), c.expected) << c.body;
}

TEST(Suback, IsEncodedAsItWasDecoded) {
    const example cases[] = {
        {protocol_version::v3_1, "90 03 00 01 02"},
        {v3, "90 06 12 34 00 01 02 80"},
        {v5, "90 04 00 01 00 00"},
        {v5, "90 06 00 01 00 01 87 A2"},
        {v5, "90 0A 00 01 06 1F 00 03 'why' 80"},
    };
    for (const auto& [version, source] : cases) {
        SCOPED_TRACE(source);
        const byte_string packet = hex(source);
        const auto p = decode_suback(body_of(packet), version);
        ASSERT_TRUE(p) << p.error().what;
        byte_string again;
        EXPECT_TRUE(encode_suback(*p, version, again));
        EXPECT_EQ(again, packet);
    }
}

TEST(Suback, HasOneCodePerFilterInTheirOrder) {
    const auto p = decode_suback(hex("12 34 00 02 80 01"), v3);
    ASSERT_TRUE(p);
    EXPECT_EQ(p->packet_id, 0x1234);
    EXPECT_THAT(p->codes, ElementsAre(reason_code::success, reason_code::granted_qos_2,
                                      reason_code::unspecified_error, reason_code::granted_qos_1));
}

TEST(Suback, HasOneFailureCodeInVersion3) {
    const suback_packet packet{
        1,
        {reason_code::granted_qos_1, reason_code::not_authorized, reason_code::quota_exceeded},
        {}};
    byte_string out;
    EXPECT_TRUE(encode_suback(packet, v3, out));
    EXPECT_EQ(out, hex("90 05 00 01 01 80 80"));
    out.clear();
    EXPECT_TRUE(encode_suback(packet, v5, out));
    EXPECT_EQ(out, hex("90 06 00 01 00 01 87 97"));
}

TEST(Suback, OfTheWrongShapeIsRefused) {
    const refused cases[] = {
        {v3, "", reason_code::malformed_packet},
        {v3, "00", reason_code::malformed_packet},
        {v3, "00 01", reason_code::malformed_packet},
        {v3, "00 00 00", reason_code::protocol_error},
        {v5, "00 01", reason_code::malformed_packet},
        {v5, "00 01 00", reason_code::malformed_packet},
        {v5, "00 01 02 0B 01 00", reason_code::malformed_packet},
        {v5, "00 00 00 00", reason_code::protocol_error},
    };
    for (const refused& c : cases)
        EXPECT_EQ(outcome(decode_suback(hex(c.body), c.version)), c.expected) << c.body;
}

TEST(Unsuback, HasCodesInVersion5Only) {
    const suback_packet packet{7, {reason_code::success, reason_code::no_subscription_existed}, {}};
    byte_string out;
    EXPECT_TRUE(encode_unsuback(packet, v3, out));
    EXPECT_EQ(out, hex("B0 02 00 07"));
    const auto old = decode_unsuback(body_of(out), v3);
    ASSERT_TRUE(old);
    EXPECT_EQ(old->packet_id, 7);
    EXPECT_TRUE(old->codes.empty());
    out.clear();
    EXPECT_TRUE(encode_unsuback(packet, v5, out));
    EXPECT_EQ(out, hex("B0 05 00 07 00 00 11"));
    const auto p = decode_unsuback(body_of(out), v5);
    ASSERT_TRUE(p);
    EXPECT_EQ(p->codes, packet.codes);
}

TEST(Unsuback, OfTheWrongShapeIsRefused) {
    const refused cases[] = {
        {v3, "", reason_code::malformed_packet},
        {v3, "07", reason_code::malformed_packet},
        {v3, "00 07 00", reason_code::malformed_packet},
        {v3, "00 00", reason_code::protocol_error},
        {v5, "00 07", reason_code::malformed_packet},
        {v5, "00 07 00", reason_code::malformed_packet},
        {v5, "00 00 00 00", reason_code::protocol_error},
    };
    for (const refused& c : cases)
        EXPECT_EQ(outcome(decode_unsuback(hex(c.body), c.version)), c.expected) << c.body;
}

TEST(TopicFilters, OfAPacketAreBoundedInNumber) {
    const auto encoded = [](std::size_t count, const char* filter) {
        return test::repeated(hex("00 01"), count, hex(filter));
    };
    const auto version = protocol_version::v3_1_1;
    const byte_string most = encoded(most_filters, "00 01 'a' 00");
    EXPECT_EQ(outcome(decode_subscribe(most, version)), reason_code::success);
    const byte_string more = encoded(most_filters + 1, "00 01 'a' 00");
    EXPECT_EQ(outcome(decode_subscribe(more, version)), reason_code::quota_exceeded);
    const byte_string least = encoded(most_filters, "00 01 'a'");
    EXPECT_EQ(outcome(decode_unsubscribe(least, version)), reason_code::success);
    const byte_string too_many = encoded(most_filters + 1, "00 01 'a'");
    EXPECT_EQ(outcome(decode_unsubscribe(too_many, version)), reason_code::quota_exceeded);
}

TEST(SubscribeEncoding, RefusesFiltersAndPropertiesThatAreTooLong) {
    const std::string too_long(65'536, 'x');
    byte_string out;
    subscribe_packet subscribe;
    subscribe.packet_id = 1;
    subscribe.requests.push_back({"good", {}});
    subscribe.requests.push_back({too_long, {}});
    EXPECT_FALSE(encode(subscribe, v5, out));
    unsubscribe_packet unsubscribe;
    unsubscribe.packet_id = 1;
    unsubscribe.filters = {too_long};
    EXPECT_FALSE(encode(unsubscribe, v3, out));
    suback_packet answer;
    answer.packet_id = 1;
    answer.codes = {reason_code::success};
    answer.props.add(property_id::reason_string, std::string_view(too_long));
    EXPECT_FALSE(encode_suback(answer, v5, out));
    EXPECT_FALSE(encode_unsuback(answer, v5, out));
    EXPECT_TRUE(out.empty());
    EXPECT_TRUE(encode_suback(answer, v3, out));  // which has no properties
}

}  // namespace
}  // namespace amqtt
