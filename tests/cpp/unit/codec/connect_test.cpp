#include "codec/connect.hpp"

#include <gtest/gtest.h>

#include "codec/writer.hpp"
#include "support/packets.hpp"

namespace amqtt {
namespace {

using test::body_of;
using test::byte_string;
using test::hex;
using test::outcome;

// Packets that are encoded exactly as they were decoded.
constexpr const char* round_trips[] = {
    // 3.1
    "10 0F 00 06 'MQIsdp' 03 02 00 3C 00 01 'c'",
    "10 24 00 06 'MQIsdp' 03 F6 00 0A 00 01 'c' 00 03 'w/t' 00 02 'wm' 00 04 'user' 00 04 'pass'",
    // 3.1.1
    "10 0C 00 04 'MQTT' 04 02 00 00 00 00",
    "10 0D 00 04 'MQTT' 04 00 FF FF 00 01 'c'",
    "10 10 00 04 'MQTT' 04 82 00 3C 00 00 00 02 'us'",
    "10 10 00 04 'MQTT' 04 C2 00 3C 00 00 00 00 00 00",
    "10 14 00 04 'MQTT' 04 06 00 3C 00 01 'c' 00 01 'w' 00 02 00 FF",
    "10 11 00 04 'MQTT' 04 2E 00 3C 00 00 00 01 'w' 00 00",
    "10 1F 00 04 'MQTT' 04 F6 00 3C 00 01 'c' 00 01 'w' 00 02 'wm' 00 04 'user' 00 03 'p' 00 FF",
    // 5.0
    "10 0D 00 04 'MQTT' 05 02 00 00 00 00 00",
    "10 13 00 04 'MQTT' 05 00 00 3C 05 11 00 00 00 0A 00 01 'c'",
    "10 10 00 04 'MQTT' 05 42 00 00 00 00 00 00 01 'p'",
    "10 1B 00 04 'MQTT' 05 06 00 00 00 00 01 'c' 05 18 00 00 00 05 00 01 'w' 00 02 'wm'",
    "10 25 00 04 'MQTT' 05 F6 00 0A 03 21 00 14 00 01 'c' 07 26 00 01 'n' 00 01 'v'"
    "00 01 'w' 00 01 'm' 00 01 'u' 00 01 'p'",
};

TEST(Connect, IsEncodedAsItWasDecoded) {
    for (const char* source : round_trips) {
        SCOPED_TRACE(source);
        const byte_string packet = hex(source);
        const auto decoded = decode_connect(body_of(packet));
        ASSERT_TRUE(decoded) << decoded.error().what;
        byte_string again;
        EXPECT_TRUE(encode(*decoded, again));
        EXPECT_EQ(again, packet);
    }
}

TEST(Connect, HasTheFieldsOfTheExampleOfVersion31) {
    const byte_string packet = hex(round_trips[1]);
    const auto c = decode_connect(body_of(packet));
    ASSERT_TRUE(c);
    EXPECT_EQ(c->version, protocol_version::v3_1);
    EXPECT_TRUE(c->clean_start);
    EXPECT_EQ(c->keep_alive, 10);
    EXPECT_EQ(c->client_id, "c");
    ASSERT_TRUE(c->will);
    EXPECT_EQ(c->will->topic, "w/t");
    EXPECT_EQ(as_text(c->will->payload), "wm");
    EXPECT_EQ(c->will->level, qos::exactly_once);
    EXPECT_TRUE(c->will->retain);
    EXPECT_EQ(c->user_name, "user");
    EXPECT_EQ(as_text(c->password.value()), "pass");
}

// 3.1.1:MQTT-3.1.3-1@server
TEST(Connect, TakesPayloadFieldsInTheirOrder) {
    const byte_string packet = hex(round_trips[8]);
    const auto c = decode_connect(body_of(packet));
    ASSERT_TRUE(c);
    EXPECT_EQ(c->version, protocol_version::v3_1_1);
    EXPECT_EQ(c->keep_alive, 60);
    EXPECT_EQ(c->client_id, "c");
    ASSERT_TRUE(c->will);
    EXPECT_EQ(c->will->topic, "w");
    EXPECT_EQ(as_text(c->will->payload), "wm");
    EXPECT_EQ(c->user_name, "user");
    EXPECT_EQ(test::to_bytes(c->password.value()), hex("'p' 00 FF"));
    EXPECT_TRUE(c->props.empty());
}

TEST(Connect, HasPropertiesOfItsOwnAndOfTheWillInVersion5) {
    const byte_string packet = hex(round_trips[13]);
    const auto c = decode_connect(body_of(packet));
    ASSERT_TRUE(c);
    EXPECT_EQ(c->version, protocol_version::v5_0);
    EXPECT_EQ(c->props.integer(property_id::receive_maximum, 0), 20U);
    EXPECT_FALSE(c->props.contains(property_id::user_property));
    ASSERT_TRUE(c->will);
    EXPECT_TRUE(c->will->props.contains(property_id::user_property));
    EXPECT_EQ(c->will->topic, "w");
    EXPECT_EQ(as_text(c->password.value()), "p");
}

TEST(Connect, KnowsWhichFieldsAreAbsent) {
    const byte_string packet = hex("10 0C 00 04 'MQTT' 04 00 00 00 00 00");
    const auto c = decode_connect(body_of(packet));
    ASSERT_TRUE(c);
    EXPECT_FALSE(c->clean_start);
    EXPECT_TRUE(c->client_id.empty());
    EXPECT_FALSE(c->will);
    EXPECT_FALSE(c->user_name);
    EXPECT_FALSE(c->password);
}

byte_string connect_body(protocol_version version, std::uint8_t flags) {
    const bool v3_1 = version == protocol_version::v3_1;
    const bool v5 = version == protocol_version::v5_0;
    byte_string body;
    writer to(body);
    to.utf8(v3_1 ? "MQIsdp" : "MQTT");
    to.u8(static_cast<std::uint8_t>(version));
    to.u8(flags);
    to.u16(60);
    if (v5) to.u8(0);
    to.utf8("id");
    if (flags & 0x04) {
        if (v5) to.u8(0);
        to.utf8("will");
        to.utf8("payload");
    }
    if (flags & 0x80) to.utf8("user");
    if (flags & 0x40) to.utf8("password");
    return body;
}

// 3.1.1:MQTT-3.1.2-3@server 3.1.1:MQTT-3.1.2-13@server 3.1.1:MQTT-3.1.2-14@server
// 3.1.1:MQTT-3.1.2-15@server 3.1.1:MQTT-3.1.2-22@server
// 5.0:MQTT-3.1.2-3@server 5.0:MQTT-3.1.2-11@server 5.0:MQTT-3.1.2-12@server
// 5.0:MQTT-3.1.2-13@server
TEST(Connect, ChecksAllCombinationsOfFlags) {
    for (const protocol_version version : test::all_versions) {
        for (int flags = 0; flags <= 0xFF; ++flags) {
            SCOPED_TRACE(testing::Message() << "version " << int(version) << " flags " << flags);
            const int will_qos = (flags >> 3) & 3;
            const bool will = flags & 0x04;
            const bool bad_will = will ? will_qos == 3 : (flags & 0x38) != 0;
            const bool reserved = (flags & 0x01) && version != protocol_version::v3_1;
            const bool password_alone = (flags & 0xC0) == 0x40 && version != protocol_version::v5_0;
            const byte_string body = connect_body(version, static_cast<std::uint8_t>(flags));
            const auto c = decode_connect(body);
            if (bad_will || reserved || password_alone) {
                EXPECT_EQ(outcome(c), reason_code::malformed_packet);
                continue;
            }
            ASSERT_TRUE(c) << c.error().what;
            EXPECT_EQ(c->version, version);
            EXPECT_EQ(c->clean_start, (flags & 0x02) != 0);
            EXPECT_EQ(c->will.has_value(), will);
            if (will) {
                EXPECT_EQ(to_byte(c->will->level), will_qos);
                EXPECT_EQ(c->will->retain, (flags & 0x20) != 0);
            }
            EXPECT_EQ(c->user_name.has_value(), (flags & 0x80) != 0);
            EXPECT_EQ(c->password.has_value(), (flags & 0x40) != 0);
        }
    }
}

// 3.1.1:MQTT-3.1.2-2@server 5.0:MQTT-3.1.2-2@server
TEST(Connect, TellsAnUnsupportedLevelFromAnUnknownName) {
    struct {
        const char* name_and_level;
        reason_code expected;
    } const cases[] = {
        {"00 04 'MQTT' 00", reason_code::unsupported_protocol_version},
        {"00 04 'MQTT' 03", reason_code::unsupported_protocol_version},
        {"00 04 'MQTT' 06", reason_code::unsupported_protocol_version},
        {"00 04 'MQTT' 83", reason_code::unsupported_protocol_version},
        {"00 04 'MQTT' FF", reason_code::unsupported_protocol_version},
        {"00 06 'MQIsdp' 00", reason_code::unsupported_protocol_version},
        {"00 06 'MQIsdp' 04", reason_code::unsupported_protocol_version},
        {"00 06 'MQIsdp' 05", reason_code::unsupported_protocol_version},
        {"00 00 04", reason_code::malformed_packet},
        {"00 04 'mqtt' 04", reason_code::malformed_packet},
        {"00 04 'MQTX' 04", reason_code::malformed_packet},
        {"00 03 'MQT' 04", reason_code::malformed_packet},
        {"00 05 'MQTT ' 04", reason_code::malformed_packet},
        {"00 06 'MQISDP' 03", reason_code::malformed_packet},
        {"00 04 FF 'QTT' 04", reason_code::malformed_packet},
        {"FF FF 'MQTT' 04", reason_code::malformed_packet},
    };
    for (const auto& c : cases) {
        const byte_string rest = hex("02 00 00 00 00");
        EXPECT_EQ(outcome(decode_connect(test::concat(hex(c.name_and_level), rest))), c.expected)
            << c.name_and_level;
    }
    // Nothing behind the level is looked at: it may be laid out in another way.
    EXPECT_EQ(outcome(decode_connect(hex("00 04 'MQTT' 06"))),
              reason_code::unsupported_protocol_version);
}

TEST(Connect, IgnoresTheBitOfBridgesInTheLevel) {
    const std::pair<const char*, protocol_version> cases[] = {
        {"00 06 'MQIsdp' 83 02 00 00 00 01 'c'", protocol_version::v3_1},
        {"00 04 'MQTT' 84 02 00 00 00 01 'c'", protocol_version::v3_1_1},
        {"00 04 'MQTT' 85 02 00 00 00 00 01 'c'", protocol_version::v5_0},
    };
    for (const auto& [source, version] : cases) {
        const byte_string body = hex(source);
        const auto c = decode_connect(body);
        ASSERT_TRUE(c) << source;
        EXPECT_EQ(c->version, version);
        EXPECT_EQ(c->client_id, "c");
    }
}

TEST(RequestedVersion, IsKnownHoweverWrongTheRestIs) {
    const std::pair<const char*, std::optional<protocol_version>> cases[] = {
        {"00 06 'MQIsdp' 03", protocol_version::v3_1},
        {"00 06 'MQIsdp' 83", protocol_version::v3_1},
        {"00 04 'MQTT' 04 FF FF FF FF", protocol_version::v3_1_1},
        {"00 04 'MQTT' 84", protocol_version::v3_1_1},
        {"00 04 'MQTT' 05 01", protocol_version::v5_0},
        {"00 04 'MQTT' 03", std::nullopt},
        {"00 04 'MQTT' 06", std::nullopt},
        {"00 06 'MQIsdp' 04", std::nullopt},
        {"00 04 'MQTX' 04", std::nullopt},
        {"00 04 'MQTT'", std::nullopt},
        {"00 04 'MQ'", std::nullopt},
        {"", std::nullopt},
    };
    for (const auto& [body, version] : cases)
        EXPECT_EQ(requested_version(hex(body)), version) << body;
}

TEST(Connect, CutAnywhereIsMalformed) {
    for (const protocol_version version : {protocol_version::v3_1_1, protocol_version::v5_0}) {
        for (const std::uint8_t flags : {0x02, 0x06, 0x82, 0xC2, 0xF6}) {
            SCOPED_TRACE(testing::Message() << "version " << int(version) << " flags " << +flags);
            const byte_string body = connect_body(version, flags);
            test::for_each_truncation(body, [](bytes_view cut) {
                EXPECT_EQ(outcome(decode_connect(cut)), reason_code::malformed_packet);
            });
        }
    }
}

TEST(Connect, OfVersion31MayLackTheFieldsItsFlagsAnnounce) {
    const byte_string neither = hex("00 06 'MQIsdp' 03 C2 00 3C 00 01 'c'");
    const auto c = decode_connect(neither);
    ASSERT_TRUE(c);
    EXPECT_FALSE(c->user_name);
    EXPECT_FALSE(c->password);
    const byte_string no_password = hex("00 06 'MQIsdp' 03 C2 00 3C 00 01 'c' 00 01 'u'");
    const auto d = decode_connect(no_password);
    ASSERT_TRUE(d);
    EXPECT_EQ(d->user_name, "u");
    EXPECT_FALSE(d->password);
    for (const char* cut : {"00 06 'MQIsdp' 03 C2 00 3C 00 01 'c' 00",
                            "00 06 'MQIsdp' 03 C2 00 3C 00 01 'c' 00 02 'u'",
                            "00 06 'MQIsdp' 03 C2 00 3C 00 01 'c' 00 01 'u' 00 01",
                            "00 06 'MQIsdp' 03 06 00 3C 00 01 'c'",
                            "00 06 'MQIsdp' 03 06 00 3C 00 01 'c' 00 01 'w'"}) {
        EXPECT_EQ(outcome(decode_connect(hex(cut))), reason_code::malformed_packet) << cut;
    }
}

TEST(Connect, WithBytesBehindThePayloadIsMalformed) {
    for (const protocol_version version : test::all_versions) {
        for (const std::uint8_t flags : {0x02, 0x06, 0x82, 0xC2, 0xF6}) {
            byte_string body = connect_body(version, flags);
            body.push_back(0);
            EXPECT_EQ(outcome(decode_connect(body)), reason_code::malformed_packet);
        }
    }
}

struct bad_connect {
    const char* name;
    const char* body;
    reason_code expected;
};

const bad_connect bad_connects[] = {
    {"U+0000 in the client identifier", "00 04 'MQTT' 04 02 00 00 00 01 00",
     reason_code::malformed_packet},
    {"surrogate in the client identifier", "00 04 'MQTT' 05 02 00 00 00 00 03 ED A0 80",
     reason_code::malformed_packet},
    {"ill-formed will topic", "00 04 'MQTT' 04 06 00 00 00 00 00 01 FF 00 00",
     reason_code::malformed_packet},
    {"empty will topic", "00 04 'MQTT' 04 06 00 00 00 00 00 00 00 00",
     reason_code::topic_name_invalid},
    {"wildcard in the will topic", "00 04 'MQTT' 04 06 00 00 00 00 00 01 '#' 00 00",
     reason_code::topic_name_invalid},
    {"ill-formed user name", "00 04 'MQTT' 04 82 00 00 00 00 00 01 80",
     reason_code::malformed_packet},
    {"property of another packet", "00 04 'MQTT' 05 02 00 00 03 23 00 01 00 00",
     reason_code::malformed_packet},
    {"will property among those of CONNECT", "00 04 'MQTT' 05 02 00 00 05 18 00 00 00 01 00 00",
     reason_code::malformed_packet},
    {"property of CONNECT in the will",
     "00 04 'MQTT' 05 06 00 00 00 00 00 03 21 00 01"
     "00 01 'w' 00 00",
     reason_code::malformed_packet},
    {"repeated property", "00 04 'MQTT' 05 02 00 00 06 21 00 01 21 00 01 00 00",
     reason_code::protocol_error},
    {"Receive Maximum 0", "00 04 'MQTT' 05 02 00 00 03 21 00 00 00 00",
     reason_code::protocol_error},
    {"repeated will property",
     "00 04 'MQTT' 05 06 00 00 00 00 00 04 01 00 01 00"
     "00 01 'w' 00 00",
     reason_code::protocol_error},
    {"wildcard in the Response Topic of the will",
     "00 04 'MQTT' 05 06 00 00 00 00 00 04 08 00 01 '#' 00 01 'w' 00 00",
     reason_code::protocol_error},
    {"Authentication Data alone", "00 04 'MQTT' 05 02 00 00 04 16 00 01 'x' 00 00",
     reason_code::protocol_error},
    {"Property Length too long", "00 04 'MQTT' 05 02 00 00 7F 00 00",
     reason_code::malformed_packet},
};

// 3.1.1:MQTT-3.1.3-4@server 3.1.1:MQTT-3.1.3-10@server 3.1.1:MQTT-3.1.3-11@server
TEST(Connect, TellsMalformedPacketsFromProtocolErrors) {
    for (const bad_connect& c : bad_connects)
        EXPECT_EQ(outcome(decode_connect(hex(c.body))), c.expected) << c.name;
}

TEST(Connect, TakesTheLongestFields) {
    connect_packet packet;
    const std::string longest(65'535, 'x');
    packet.client_id = longest;
    packet.will = will_fields{longest, as_bytes(longest), qos::at_least_once, false, {}};
    packet.user_name = longest;
    packet.password = as_bytes(longest);
    byte_string out;
    EXPECT_TRUE(encode(packet, out));
    const auto c = decode_connect(body_of(out));
    ASSERT_TRUE(c);
    EXPECT_EQ(c->client_id, longest);
    EXPECT_EQ(as_text(c->will->payload), longest);
    EXPECT_EQ(as_text(c->password.value()), longest);
}

struct connack_example {
    protocol_version version;
    const char* packet;
    bool session_present;
    reason_code code;
};

const connack_example connacks[] = {
    {protocol_version::v3_1, "20 02 00 00", false, reason_code::success},
    {protocol_version::v3_1, "20 02 00 05", false, reason_code::not_authorized},
    {protocol_version::v3_1_1, "20 02 00 00", false, reason_code::success},
    {protocol_version::v3_1_1, "20 02 01 00", true, reason_code::success},
    {protocol_version::v3_1_1, "20 02 00 01", false, reason_code::unsupported_protocol_version},
    {protocol_version::v3_1_1, "20 02 00 02", false, reason_code::client_identifier_not_valid},
    {protocol_version::v3_1_1, "20 02 00 03", false, reason_code::server_unavailable},
    {protocol_version::v3_1_1, "20 02 00 04", false, reason_code::bad_user_name_or_password},
    {protocol_version::v3_1_1, "20 02 00 05", false, reason_code::not_authorized},
    {protocol_version::v5_0, "20 03 00 00 00", false, reason_code::success},
    {protocol_version::v5_0, "20 03 01 00 00", true, reason_code::success},
    {protocol_version::v5_0, "20 03 00 87 00", false, reason_code::not_authorized},
    {protocol_version::v5_0, "20 0B 00 00 08 21 00 0A 12 00 02 'id'", false, reason_code::success},
};

TEST(Connack, IsDecodedAndEncoded) {
    for (const connack_example& c : connacks) {
        SCOPED_TRACE(c.packet);
        const byte_string packet = hex(c.packet);
        const auto decoded = decode_connack(body_of(packet), c.version);
        ASSERT_TRUE(decoded);
        EXPECT_EQ(decoded->session_present, c.session_present);
        EXPECT_EQ(decoded->code, c.code);
        EXPECT_EQ(decoded->v3_code, has_properties(c.version) ? 0 : packet[3]);
        byte_string again;
        EXPECT_TRUE(encode(*decoded, c.version, again));
        EXPECT_EQ(again, packet);
    }
}

TEST(Connack, KeepsReservedReturnCodesOfVersion3) {
    const auto decoded = decode_connack(hex("00 FF"), protocol_version::v3_1_1);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->v3_code, 0xFF);
    EXPECT_TRUE(is_failure(decoded->code));
}

TEST(Connack, HasNoSessionPresentInVersion31) {
    const auto decoded = decode_connack(hex("01 00"), protocol_version::v3_1);
    ASSERT_TRUE(decoded);
    EXPECT_FALSE(decoded->session_present);
    connack_packet packet;
    packet.session_present = true;
    byte_string out;
    EXPECT_TRUE(encode(packet, protocol_version::v3_1, out));
    EXPECT_EQ(out, hex("20 02 00 00"));
}

TEST(Connack, OfTheWrongShapeIsMalformed) {
    for (const char* body : {"", "00", "02 00", "80 00", "FF 00", "00 00 00"}) {
        EXPECT_EQ(outcome(decode_connack(hex(body), protocol_version::v3_1_1)),
                  reason_code::malformed_packet)
            << body;
    }
    for (const char* body : {"", "00", "00 00", "02 00 00", "00 00 01", "00 00 00 00",
                             "00 00 03 23 00 01", "00 00 02 21 00"}) {
        EXPECT_EQ(outcome(decode_connack(hex(body), protocol_version::v5_0)),
                  reason_code::malformed_packet)
            << body;
    }
    EXPECT_EQ(outcome(decode_connack(hex("00 00 02 24 02"), protocol_version::v5_0)),
              reason_code::protocol_error);
}

TEST(V3ConnackCode, ExistsForSomeReasonsOnly) {
    for (int byte = 0; byte <= 0xFF; ++byte) {
        std::optional<std::uint8_t> expected;
        switch (byte) {
            case 0x00:
                expected = 0;
                break;
            case 0x84:
                expected = 1;
                break;
            case 0x85:
                expected = 2;
                break;
            case 0x88:
            case 0x89:
            case 0x97:
                expected = 3;
                break;
            case 0x86:
                expected = 4;
                break;
            case 0x87:
            case 0x8A:
                expected = 5;
                break;
            default:
                break;
        }
        EXPECT_EQ(v3_connack_code(static_cast<reason_code>(byte)), expected) << byte;
    }
}

// -- what has no encoding

TEST(ConnectEncoding, RefusesFieldsThatAreTooLong) {
    const std::string too_long(65'536, 'x');
    const auto refused = [](const connect_packet& packet) {
        byte_string out = hex("AA");
        return !encode(packet, out) && out == hex("AA");
    };
    connect_packet good;
    good.version = protocol_version::v5_0;
    good.client_id = "c";
    EXPECT_FALSE(refused(good));
    connect_packet packet = good;
    packet.client_id = too_long;
    EXPECT_TRUE(refused(packet));
    packet = good;
    packet.user_name = too_long;
    EXPECT_TRUE(refused(packet));
    packet = good;
    packet.password = as_bytes(too_long);
    EXPECT_TRUE(refused(packet));
    packet = good;
    packet.props.add(property_id::authentication_data, as_bytes(too_long));
    EXPECT_TRUE(refused(packet));
    packet = good;
    packet.will = will_fields{};
    packet.will->topic = "w";
    EXPECT_FALSE(refused(packet));
    packet.will->payload = as_bytes(too_long);
    EXPECT_TRUE(refused(packet));
    packet.will->payload = {};
    packet.will->props.add("name", too_long);
    EXPECT_TRUE(refused(packet));
}

TEST(ConnackEncoding, RefusesPropertiesThatAreTooLong) {
    const std::string too_long(65'536, 'x');
    byte_string out;
    connack_packet packet;
    packet.props.add(property_id::response_information, std::string_view(too_long));
    EXPECT_FALSE(encode(packet, protocol_version::v5_0, out));
    EXPECT_TRUE(out.empty());
    packet.props = {};
    packet.props.add(property_id::response_information, std::string_view(too_long).substr(1));
    EXPECT_TRUE(encode(packet, protocol_version::v5_0, out));
}

// -- what can be read of a CONNECT that is refused

TEST(RefusedConnect, IsAnsweredInTheNearestVersion) {
    const std::pair<const char*, std::optional<protocol_version>> cases[] = {
        {"00 04 'MQTT' 06", protocol_version::v5_0},
        {"00 04 'MQTT' 7f", protocol_version::v5_0},
        {"00 04 'MQTT' 86", protocol_version::v5_0},
        {"00 04 'MQTT' 00", protocol_version::v3_1_1},
        {"00 04 'MQTT' 03", protocol_version::v3_1_1},
        {"00 04 'MQTT' 83", protocol_version::v3_1_1},
        {"00 06 'MQIsdp' 05", protocol_version::v3_1},
        {"00 04 'MQTX' 06", std::nullopt},
        {"00 04 'MQTT'", std::nullopt},
    };
    for (const auto& [body, version] : cases)
        EXPECT_EQ(nearest_version(hex(body)), version) << body;
}

TEST(RefusedConnect, TellsItsPropertiesAsFarAsTheyCanBeRead) {
    const auto found = connect_properties(hex("00 04 'MQTT' 05 ff 00 3c 05 27 00 00 00 1e 00"));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->integer(property_id::maximum_packet_size, 0), 30U);
    EXPECT_FALSE(connect_properties(hex("00 04 'MQTT' 05 02 00 3c 05 27 00 00 00")));
    EXPECT_FALSE(connect_properties(hex("00 04 'MQTT' 05 02 00")));
    EXPECT_FALSE(connect_properties(hex("00 04 'MQTT' 05 02 00 3c 05 27 00 00 00 00")));
}

}  // namespace
}  // namespace amqtt
