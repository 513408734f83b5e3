#include "codec/publish.hpp"

#include <gtest/gtest.h>

#include "codec/writer.hpp"
#include "support/packets.hpp"

namespace amqtt {
namespace {

using test::byte_string;
using test::hex;
using test::outcome;

// The whole packet, as the two parts in which it is sent.
byte_string encoded(const outgoing_publish& packet, protocol_version version) {
    const publish_lengths lengths = lengths_of(packet, version);
    byte_string out(lengths.header);
    const std::uint8_t* end = write_publish_header(out.data(), packet, version, lengths);
    EXPECT_EQ(end, out.data() + out.size());
    out.insert(out.end(), packet.payload.begin(), packet.payload.end());
    return out;
}

// What was received, to be sent again.
outgoing_publish as_outgoing(const publish_packet& p) {
    outgoing_publish packet;
    packet.topic = p.topic;
    packet.payload = p.payload;
    packet.level = p.level;
    packet.retain = p.retain;
    packet.dup = p.dup;
    packet.packet_id = p.packet_id;
    return packet;
}

struct publish_example {
    const char* v3;
    const char* v5;
    qos level;
    bool dup, retain;
    std::uint16_t packet_id;
    const char* topic;
    const char* payload;
};

const publish_example examples[] = {
    {"30 05 00 03 'a/b'", "30 06 00 03 'a/b' 00", qos::at_most_once, false, false, 0, "a/b", ""},
    {"30 05 00 01 't' 'pl'", "30 06 00 01 't' 00 'pl'", qos::at_most_once, false, false, 0, "t",
     "pl"},
    {"31 05 00 01 't' 'pl'", "31 06 00 01 't' 00 'pl'", qos::at_most_once, false, true, 0, "t",
     "pl"},
    {"32 07 00 01 't' 00 0A 'pl'", "32 08 00 01 't' 00 0A 00 'pl'", qos::at_least_once, false,
     false, 10, "t", "pl"},
    {"3A 05 00 01 't' FF FF", "3A 06 00 01 't' FF FF 00", qos::at_least_once, true, false, 65'535,
     "t", ""},
    {"34 06 00 01 't' 00 01 'p'", "34 07 00 01 't' 00 01 00 'p'", qos::exactly_once, false, false,
     1, "t", "p"},
    {"3D 06 00 01 't' 01 02 'p'", "3D 07 00 01 't' 01 02 00 'p'", qos::exactly_once, true, true,
     258, "t", "p"},
    {"30 03 00 01 '/'", "30 04 00 01 '/' 00", qos::at_most_once, false, false, 0, "/", ""},
};

// 3.1.1:MQTT-2.3.1-5@server 5.0:MQTT-2.2.1-2@server
TEST(Publish, IsDecodedAndEncoded) {
    for (const publish_example& e : examples) {
        for (const protocol_version version : test::all_versions) {
            SCOPED_TRACE(testing::Message() << e.v3 << " version " << int(version));
            const byte_string packet = hex(has_properties(version) ? e.v5 : e.v3);
            const frame cut = test::frame_of(packet);
            const auto p = decode_publish(cut.flags, cut.body, version);
            ASSERT_TRUE(p) << p.error().what;
            EXPECT_EQ(p->level, e.level);
            EXPECT_EQ(p->dup, e.dup);
            EXPECT_EQ(p->retain, e.retain);
            EXPECT_EQ(p->packet_id, e.packet_id);
            EXPECT_EQ(p->topic, e.topic);
            EXPECT_EQ(as_text(p->payload), e.payload);
            EXPECT_TRUE(p->props.empty());
            EXPECT_EQ(encoded(as_outgoing(*p), version), packet);
        }
    }
}

// 3.1.1:MQTT-3.3.1-2@server 3.1.1:MQTT-3.3.1-4@server 5.0:MQTT-3.3.1-4@server
TEST(Publish, ChecksAllFlags) {
    for (const protocol_version version : test::all_versions) {
        for (std::uint8_t flags = 0; flags < 16; ++flags) {
            const int level = (flags >> 1) & 3;
            const bool bad = level == 3 || (level == 0 && (flags & 0x08));
            EXPECT_EQ(outcome(decode_publish(flags, hex("00 01 't' 00 01 00"), version)),
                      bad ? reason_code::malformed_packet : reason_code::success)
                << +flags;
        }
    }
}

TEST(Publish, PayloadMayHoldAnyBytes) {
    const byte_string body = hex("00 01 't' 00 FF C0 80");
    const auto p = decode_publish(0, body, protocol_version::v3_1_1);
    ASSERT_TRUE(p);
    EXPECT_EQ(test::to_bytes(p->payload), hex("00 FF C0 80"));
    EXPECT_EQ(p->payload.data(), body.data() + 3) << "a view, not a copy";
}

struct bad_publish {
    const char* name;
    std::uint8_t flags;
    const char* body;
};

constexpr bad_publish bad_in_every_version[] = {
    {"no topic", 0, ""},
    {"half a length", 0, "00"},
    {"topic longer than the packet", 0, "00 05 't'"},
    {"no packet identifier", 2, "00 01 't'"},
    {"half a packet identifier", 4, "00 01 't' 00"},
    {"U+0000", 0, "00 01 00 00"},
    {"surrogate", 0, "00 03 ED A0 80 00"},
    {"cut UTF-8", 0, "00 01 C3 00"},
};

// 3.1.1:MQTT-3.3.2-1@server 3.1.1:MQTT-4.7.3-2@server
TEST(Publish, OfTheWrongShapeIsMalformed) {
    for (const bad_publish& c : bad_in_every_version) {
        for (const protocol_version version : test::all_versions) {
            EXPECT_EQ(outcome(decode_publish(c.flags, hex(c.body), version)),
                      reason_code::malformed_packet)
                << c.name;
        }
    }
}

// 3.1.1:MQTT-3.3.2-2@server 5.0:MQTT-3.3.2-2@server
TEST(Publish, MayNotHaveAWildcardInItsTopic) {
    for (const char* body : {"00 01 '#' 00", "00 03 'a/+' 00", "00 03 'a+b' 00"}) {
        for (const protocol_version version : test::all_versions) {
            EXPECT_EQ(outcome(decode_publish(0, hex(body), version)),
                      reason_code::topic_name_invalid)
                << body;
        }
    }
}

// 3.1.1:MQTT-4.7.3-1@server
TEST(Publish, MayLackATopicInVersion5Only) {
    EXPECT_EQ(outcome(decode_publish(0, hex("00 00"), protocol_version::v3_1)),
              reason_code::protocol_error);
    EXPECT_EQ(outcome(decode_publish(0, hex("00 00"), protocol_version::v3_1_1)),
              reason_code::protocol_error);
    const byte_string body = hex("00 00 03 23 00 07 'x'");
    const auto p = decode_publish(0, body, protocol_version::v5_0);
    ASSERT_TRUE(p);
    EXPECT_TRUE(p->topic.empty());
    EXPECT_EQ(p->props.integer(property_id::topic_alias, 0), 7U);
    EXPECT_EQ(as_text(p->payload), "x");
}

TEST(Publish, IsEncodedWithoutATopicInVersion5) {
    outgoing_publish packet;
    packet.payload = as_bytes("x");
    packet.topic_alias = 7;
    EXPECT_EQ(encoded(packet, protocol_version::v5_0), hex("30 07 00 00 03 23 00 07 'x'"));
}

TEST(Publish, IsEncodedWithPropertiesInVersion5Only) {
    const byte_string forwarded = hex("01 01 26 00 01 'n' 00 01 'v'");
    const std::uint32_t ids[] = {1, 321};
    outgoing_publish packet;
    packet.topic = "t";
    packet.payload = as_bytes("p");
    packet.level = qos::at_least_once;
    packet.packet_id = 10;
    packet.forwarded = forwarded;
    packet.expiry_interval = 0x01020304;
    packet.subscription_ids = ids;
    packet.topic_alias = 0x0506;
    EXPECT_EQ(encoded(packet, protocol_version::v5_0),
              hex("32 1D 00 01 't' 00 0A 16 02 01 02 03 04 23 05 06 0B 01 0B C1 02"
                  "01 01 26 00 01 'n' 00 01 'v' 'p'"));
    EXPECT_EQ(encoded(packet, protocol_version::v3_1_1), hex("32 06 00 01 't' 00 0A 'p'"));
    EXPECT_EQ(encoded(packet, protocol_version::v3_1), hex("32 06 00 01 't' 00 0A 'p'"));
}

TEST(Publish, IsEncodedWithAnExpiryIntervalOfZero) {
    outgoing_publish packet;
    packet.topic = "t";
    packet.expiry_interval = 0;
    EXPECT_EQ(encoded(packet, protocol_version::v5_0), hex("30 09 00 01 't' 05 02 00 00 00 00"));
}

TEST(Publish, KnowsItsSizeAtEveryLengthOfPropertyLength) {
    for (const std::size_t size : {127U, 128U, 16'383U, 16'384U, 70'000U}) {
        byte_string forwarded;
        while (forwarded.size() < size) {
            const std::size_t rest = size - forwarded.size();
            // A User Property takes 5 bytes at least.
            const std::size_t value = rest > 60'010 ? 60'000 : rest - 5;
            properties one;
            const std::string text(value, 'v');
            one.add("", text);
            forwarded = test::concat(forwarded, forwarded_properties(one));
        }
        ASSERT_EQ(forwarded.size(), size);
        outgoing_publish packet;
        packet.topic = "t";
        packet.forwarded = forwarded;
        packet.payload = as_bytes("p");
        const byte_string whole = encoded(packet, protocol_version::v5_0);
        const auto p = decode_publish(0, test::body_of(whole), protocol_version::v5_0);
        ASSERT_TRUE(p) << size;
        EXPECT_EQ(as_text(p->payload), "p");
        EXPECT_EQ(forwarded_properties(p->props), forwarded);
    }
}

// 5.0:MQTT-3.3.2-4@server 5.0:MQTT-3.3.2-15@server 5.0:MQTT-3.3.2-16@server
// 5.0:MQTT-3.3.2-17@server 5.0:MQTT-3.3.2-18@server 5.0:MQTT-3.3.2-20@server
TEST(ForwardedProperties, AreThoseOfTheMessageUnaltered) {
    const byte_string body =
        hex("00 01 't' 2D 26 00 01 'b' 00 01 '1' 01 01 02 00 00 00 0A 03 00 01 'c' 08 00 01 'r'"
            "09 00 02 00 FF 0B 05 23 00 07 26 00 01 'a' 00 00 26 00 01 'b' 00 01 '1'");
    const auto p = decode_publish(0, body, protocol_version::v5_0);
    ASSERT_TRUE(p) << p.error().what;
    EXPECT_EQ(forwarded_properties(p->props),
              hex("26 00 01 'b' 00 01 '1' 01 01 03 00 01 'c' 08 00 01 'r' 09 00 02 00 FF"
                  "26 00 01 'a' 00 00 26 00 01 'b' 00 01 '1'"));
    EXPECT_TRUE(forwarded_properties({}).empty());
}

// 3.1.1:MQTT-2.3.1-1@server 5.0:MQTT-2.2.1-3@server
TEST(Publish, PacketIdentifierZeroIsAProtocolError) {
    for (const protocol_version version : test::all_versions) {
        for (const std::uint8_t flags : {2, 4, 10, 13}) {
            EXPECT_EQ(outcome(decode_publish(flags, hex("00 01 't' 00 00 00"), version)),
                      reason_code::protocol_error);
        }
    }
}

TEST(Publish, PropertiesOfVersion5AreChecked) {
    const std::pair<const char*, reason_code> cases[] = {
        {"00 01 't'", reason_code::malformed_packet},
        {"00 01 't' 02 01", reason_code::malformed_packet},
        {"00 01 't' 03 01 01", reason_code::malformed_packet},
        {"00 01 't' 03 21 00 01", reason_code::malformed_packet},
        {"00 01 't' 02 01 02", reason_code::protocol_error},
        {"00 01 't' 04 01 00 01 00", reason_code::protocol_error},
        {"00 01 't' 80 00", reason_code::malformed_packet},
        {"00 01 't' 04 0B 01 0B 02", reason_code::success},
        {"00 01 't' 04 08 00 01 'r'", reason_code::success},
        {"00 01 't' 04 08 00 01 '#'", reason_code::protocol_error},
        {"00 01 't' 06 08 00 03 'a/+'", reason_code::protocol_error},
    };
    for (const auto& [body, expected] : cases)
        EXPECT_EQ(outcome(decode_publish(0, hex(body), protocol_version::v5_0)), expected) << body;
}

TEST(Publish, KnowsItsSizeAtEveryLengthOfRemainingLength) {
    for (const std::size_t remaining :
         {127U, 128U, 16'383U, 16'384U, 2'097'151U, 2'097'152U, 3'000'000U}) {
        for (const protocol_version version : test::all_versions) {
            const std::size_t head = has_properties(version) ? 6 : 5;  // topic and identifier
            const byte_string payload(remaining - head, 'x');
            outgoing_publish packet;
            packet.topic = "t";
            packet.level = qos::at_least_once;
            packet.packet_id = 1;
            packet.payload = payload;
            const byte_string whole = encoded(packet, version);
            const frame cut = test::frame_of(whole);
            EXPECT_EQ(cut.body.size(), remaining);
            const auto p = decode_publish(cut.flags, cut.body, version);
            ASSERT_TRUE(p);
            EXPECT_TRUE(test::to_bytes(p->payload) == payload);
        }
    }
}

TEST(Publish, TakesTheLongestTopic) {
    const std::string topic(65'535, 't');
    outgoing_publish packet;
    packet.topic = topic;
    const byte_string whole = encoded(packet, protocol_version::v3_1_1);
    const auto p = decode_publish(0, test::body_of(whole), protocol_version::v3_1_1);
    ASSERT_TRUE(p);
    EXPECT_EQ(p->topic, topic);
}

constexpr packet_type ack_types[] = {packet_type::puback, packet_type::pubrec, packet_type::pubrel,
                                     packet_type::pubcomp};

// 3.1.1:MQTT-2.2.2-1@server
TEST(Ack, IsWrittenByteForByte) {
    const std::pair<packet_type, const char*> cases[] = {{packet_type::puback, "40"},
                                                         {packet_type::pubrec, "50"},
                                                         {packet_type::pubrel, "62"},
                                                         {packet_type::pubcomp, "70"}};
    const auto written = [](packet_type type, reason_code code, protocol_version version) {
        byte_string out(ack_size_max);
        out.resize(write_ack(out.data(), type, 0x1234, code, version));
        return out;
    };
    for (const auto& [type, first] : cases) {
        for (const protocol_version version : test::all_versions) {
            EXPECT_EQ(written(type, reason_code::success, version),
                      test::concat(hex(first), hex("02 12 34")));
        }
        EXPECT_EQ(written(type, reason_code::not_authorized, protocol_version::v3_1_1),
                  test::concat(hex(first), hex("02 12 34")));
        EXPECT_EQ(written(type, reason_code::not_authorized, protocol_version::v5_0),
                  test::concat(hex(first), hex("03 12 34 87")));
    }
}

TEST(Ack, IsDecodedInAllItsForms) {
    struct {
        const char* body;
        reason_code code;
        bool v5_only;
    } const cases[] = {
        {"00 07", reason_code::success, false},
        {"00 07 00", reason_code::success, true},
        {"00 07 00 06 1F 00 03 'why'", reason_code::success, true},
        {"00 07 00 07 26 00 01 'n' 00 01 'v'", reason_code::success, true},
    };
    for (const packet_type type : ack_types) {
        for (const auto& c : cases) {
            SCOPED_TRACE(c.body);
            const byte_string body = hex(c.body);
            const auto p = decode_ack(type, body, protocol_version::v5_0);
            ASSERT_TRUE(p);
            EXPECT_EQ(p->type, type);
            EXPECT_EQ(p->packet_id, 7);
            EXPECT_EQ(p->code, c.code);
            EXPECT_EQ(p->props.empty(), body.size() < 5);
            for (const protocol_version version :
                 {protocol_version::v3_1, protocol_version::v3_1_1}) {
                EXPECT_EQ(outcome(decode_ack(type, body, version)),
                          c.v5_only ? reason_code::malformed_packet : reason_code::success);
            }
        }
    }
}

// 5.0:MQTT-3.4.2-1 5.0:MQTT-3.5.2-1 5.0:MQTT-3.6.2-1 5.0:MQTT-3.7.2-1
TEST(Ack, HasAReasonCodeOfItsOwnPacket) {
    for (const packet_type type : ack_types) {
        const bool first_half = type == packet_type::puback || type == packet_type::pubrec;
        for (const auto& [body, expected] :
             {std::pair{"00 07 10 00", first_half}, std::pair{"00 07 80", first_half},
              std::pair{"00 07 92", !first_half}, std::pair{"00 07 8E", false},
              std::pair{"00 07 01", false}, std::pair{"00 07 FF", false}}) {
            SCOPED_TRACE(body);
            EXPECT_EQ(outcome(decode_ack(type, hex(body), protocol_version::v5_0)),
                      expected ? reason_code::success : reason_code::protocol_error);
        }
    }
}

TEST(Ack, OfTheWrongShapeIsRefused) {
    for (const packet_type type : ack_types) {
        for (const protocol_version version : test::all_versions) {
            EXPECT_EQ(outcome(decode_ack(type, {}, version)), reason_code::malformed_packet);
            EXPECT_EQ(outcome(decode_ack(type, hex("00"), version)), reason_code::malformed_packet);
            EXPECT_EQ(outcome(decode_ack(type, hex("00 00"), version)),
                      reason_code::protocol_error);
        }
        for (const char* body : {"00 07 00 01", "00 07 00 00 00", "00 07 00 03 23 00 01",
                                 "00 07 00 06 1F 00 03 'wh'", "00 07 00 80 00"}) {
            EXPECT_EQ(outcome(decode_ack(type, hex(body), protocol_version::v5_0)),
                      reason_code::malformed_packet)
                << body;
        }
        EXPECT_EQ(outcome(decode_ack(type, hex("00 07 00 08 1F 00 01 'a' 1F 00 01 'b'"),
                                     protocol_version::v5_0)),
                  reason_code::protocol_error);
    }
}

// -- sizes that no packet has

// A payload of that size, of which no byte is looked at.
bytes_view payload_of(std::size_t size) {
    static const std::uint8_t byte = 0;
    return {&byte, size};
}

TEST(PublishSize, EndsWhereRemainingLengthDoes) {
    outgoing_publish packet;
    packet.topic = "t";
    packet.payload = payload_of(varint_max - 3);
    EXPECT_EQ(lengths_of(packet, protocol_version::v3_1_1).header, 1U + 4U + 3U);
    EXPECT_EQ(publish_size(packet, protocol_version::v3_1_1), largest_packet_size);
    // The same message is a byte longer in 5.0, by its Property Length.
    EXPECT_EQ(lengths_of(packet, protocol_version::v5_0).header, 0U);
    EXPECT_EQ(publish_size(packet, protocol_version::v5_0), 0U);
    packet.level = qos::at_least_once;
    EXPECT_EQ(publish_size(packet, protocol_version::v3_1_1), 0U);
    packet.payload = payload_of(std::size_t{UINT32_MAX} + 1);
    EXPECT_EQ(publish_size(packet, protocol_version::v3_1_1), 0U);
}

TEST(PublishSize, CountsPropertiesBeyondRemainingLength) {
    outgoing_publish packet;
    packet.topic = "t";
    packet.forwarded = payload_of(std::size_t{varint_max} + 1);
    EXPECT_EQ(publish_size(packet, protocol_version::v5_0), 0U);
    EXPECT_NE(publish_size(packet, protocol_version::v3_1_1), 0U);  // which has none
}

TEST(PublishSize, RefusesATopicThatItsLengthCannotSay) {
    const std::string topic(65'536, 't');
    outgoing_publish packet;
    packet.topic = topic;
    EXPECT_EQ(lengths_of(packet, protocol_version::v3_1_1).header, 0U);
    packet.topic = std::string_view(topic).substr(1);
    EXPECT_NE(lengths_of(packet, protocol_version::v3_1_1).header, 0U);
}

TEST(PublishSize, IsNotWrittenWithoutAPacket) {
    outgoing_publish packet;
    packet.topic = "t";
    packet.payload = payload_of(varint_max);
    std::uint8_t place = 0xAA;
    const publish_lengths lengths = lengths_of(packet, protocol_version::v5_0);
    EXPECT_EQ(write_publish_header(&place, packet, protocol_version::v5_0, lengths), &place);
    EXPECT_EQ(place, 0xAA);
}

TEST(PublishSize, HasABoundThatHoldsInEveryVersion) {
    const std::uint32_t ids[] = {1, varint_max};
    for (const std::size_t size : {0U, 1U, 200U, 70'000U}) {
        outgoing_publish packet;
        const std::string topic(std::min<std::size_t>(size, 60'000), 't');
        packet.topic = topic;
        packet.payload = payload_of(size * 40);
        packet.forwarded = payload_of(size);
        packet.level = qos::exactly_once;
        packet.expiry_interval = 1;
        packet.subscription_ids = ids;
        packet.topic_alias = 1;
        for (const auto version : test::all_versions) {
            EXPECT_GE(publish_size_bound(packet), publish_size(packet, version));
            EXPECT_GT(publish_size(packet, version), 0U);
        }
    }
}

}  // namespace
}  // namespace amqtt
