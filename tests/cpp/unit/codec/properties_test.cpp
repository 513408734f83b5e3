#include "codec/properties.hpp"

#include <functional>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/writer.hpp"
#include "support/packets.hpp"

namespace amqtt {
namespace {

using test::byte_string;
using test::hex;
using test::outcome;
using scope = property_scope;

constexpr scope every_scope[] = {
    scope::connect,     scope::connack,  scope::publish,    scope::will,      scope::puback,
    scope::pubrec,      scope::pubrel,   scope::pubcomp,    scope::subscribe, scope::suback,
    scope::unsubscribe, scope::unsuback, scope::disconnect, scope::auth,
};

struct known_property {
    int id;
    const char* value;        // a legal value as encoded
    std::set<scope> allowed;  // where it may appear
    std::set<scope> repeatable = {};
};

// Section 2.2.2.2 of the standard, row by row.
const known_property table[] = {
    {0x01, "01", {scope::publish, scope::will}},
    {0x02, "00 00 0E 10", {scope::publish, scope::will}},
    {0x03, "00 04 'text'", {scope::publish, scope::will}},
    {0x08, "00 03 'a/b'", {scope::publish, scope::will}},
    {0x09, "00 02 00 FF", {scope::publish, scope::will}},
    {0x0B, "C1 02", {scope::publish, scope::subscribe}, {scope::publish}},
    {0x11, "FF FF FF FF", {scope::connect, scope::connack, scope::disconnect}},
    {0x12, "00 02 'id'", {scope::connack}},
    {0x13, "00 3C", {scope::connack}},
    {0x15, "00 05 'SCRAM'", {scope::connect, scope::connack, scope::auth}},
    {0x16, "00 01 00", {scope::connect, scope::connack, scope::auth}},
    {0x17, "00", {scope::connect}},
    {0x18, "00 00 00 05", {scope::will}},
    {0x19, "01", {scope::connect}},
    {0x1A, "00 01 'r'", {scope::connack}},
    {0x1C, "00 04 'host'", {scope::connack, scope::disconnect}},
    {0x1F,
     "00 03 'why'",
     {scope::connack, scope::puback, scope::pubrec, scope::pubrel, scope::pubcomp, scope::suback,
      scope::unsuback, scope::disconnect, scope::auth}},
    {0x21, "00 01", {scope::connect, scope::connack}},
    {0x22, "00 0A", {scope::connect, scope::connack}},
    {0x23, "00 07", {scope::publish}},
    {0x24, "01", {scope::connack}},
    {0x25, "00", {scope::connack}},
    {0x26,
     "00 01 'n' 00 01 'v'",
     {std::begin(every_scope), std::end(every_scope)},
     {std::begin(every_scope), std::end(every_scope)}},
    {0x27, "00 00 00 01", {scope::connect, scope::connack}},
    {0x28, "00", {scope::connack}},
    {0x29, "01", {scope::connack}},
    {0x2A, "00", {scope::connack}},
};

byte_string encoded(int id, std::string_view value) {
    return test::concat({static_cast<std::uint8_t>(id)}, hex(value));
}

// Decodes body with a Property Length that fits, and expects it to be used up.
result<properties> decode(const byte_string& body, scope where) {
    static byte_string whole;  // what the properties are views of
    whole.clear();
    writer to(whole);
    to.varint(static_cast<std::uint32_t>(body.size()));
    to.bytes(body);
    reader in(whole);
    auto decoded = properties::decode(in, where);
    EXPECT_TRUE(!decoded || in.at_end());
    return decoded;
}

TEST(Properties, AreAcceptedWhereTheStandardAllowsThem) {
    for (const known_property& p : table) {
        for (const scope where : every_scope) {
            SCOPED_TRACE(testing::Message() << "id " << p.id << " scope " << int(where));
            const auto decoded = decode(encoded(p.id, p.value), where);
            const bool allowed = p.allowed.contains(where);
            ASSERT_EQ(outcome(decoded),
                      allowed ? reason_code::success : reason_code::malformed_packet);
            if (!allowed) continue;
            ASSERT_EQ(decoded->all().size(), 1U);
            EXPECT_TRUE(decoded->contains(static_cast<property_id>(p.id)));
        }
    }
}

TEST(Properties, UnknownIdentifiersAreMalformed) {
    std::set<int> known;
    for (const known_property& p : table)
        known.insert(p.id);
    for (int id = 0; id < 0x80; ++id) {
        if (known.contains(id)) continue;
        for (const scope where : every_scope) {
            EXPECT_EQ(outcome(decode(encoded(id, "00 00 00 00"), where)),
                      reason_code::malformed_packet)
                << id;
        }
    }
    for (const char* body : {"80 01 00", "A6 01 00", "FF FF FF 7F 00", "FF FF FF FF 00"})
        EXPECT_EQ(outcome(decode(hex(body), scope::publish)), reason_code::malformed_packet);
}

TEST(Properties, MayRepeatOnlyWhereTheStandardSaysSo) {
    for (const known_property& p : table) {
        for (const scope where : p.allowed) {
            SCOPED_TRACE(testing::Message() << "id " << p.id << " scope " << int(where));
            const byte_string one = encoded(p.id, p.value);
            const byte_string between = encoded(0x26, "00 01 'n' 00 01 'v'");
            const reason_code expected =
                p.repeatable.contains(where) ? reason_code::success : reason_code::protocol_error;
            EXPECT_EQ(outcome(decode(test::concat(one, one), where)), expected);
            EXPECT_EQ(outcome(decode(test::concat(one, between, one), where)), expected);
        }
    }
}

TEST(Properties, CutAnywhereAreMalformed) {
    for (const known_property& p : table) {
        SCOPED_TRACE(p.id);
        const byte_string whole = encoded(p.id, p.value);
        for (std::size_t size = 1; size < whole.size(); ++size) {
            const byte_string cut(whole.begin(), whole.begin() + static_cast<long>(size));
            EXPECT_EQ(outcome(decode(cut, *p.allowed.begin())), reason_code::malformed_packet);
        }
    }
}

TEST(Properties, ValuesOutOfRangeAreProtocolErrors) {
    struct {
        int id;
        scope where;
        std::vector<const char*> legal;
        std::vector<const char*> illegal;
    } const cases[] = {
        {0x01, scope::publish, {"00", "01"}, {"02", "FF"}},
        {0x01, scope::will, {"00", "01"}, {"02"}},
        {0x02, scope::publish, {"00 00 00 00", "FF FF FF FF"}, {}},
        {0x0B, scope::subscribe, {"01", "FF FF FF 7F"}, {"00"}},
        {0x0B, scope::publish, {"01", "FF FF FF 7F"}, {"00"}},
        {0x11, scope::connect, {"00 00 00 00", "FF FF FF FF"}, {}},
        {0x13, scope::connack, {"00 00", "FF FF"}, {}},
        {0x17, scope::connect, {"00", "01"}, {"02", "80"}},
        {0x18, scope::will, {"00 00 00 00", "FF FF FF FF"}, {}},
        {0x19, scope::connect, {"00", "01"}, {"02", "FF"}},
        {0x21, scope::connect, {"00 01", "FF FF"}, {"00 00"}},
        {0x21, scope::connack, {"00 01"}, {"00 00"}},
        {0x22, scope::connect, {"00 00", "FF FF"}, {}},
        {0x24, scope::connack, {"00", "01"}, {"02", "03"}},
        {0x25, scope::connack, {"00", "01"}, {"02"}},
        {0x27, scope::connect, {"00 00 00 01", "FF FF FF FF"}, {"00 00 00 00"}},
        {0x27, scope::connack, {"00 00 00 01"}, {"00 00 00 00"}},
        {0x28, scope::connack, {"00", "01"}, {"02"}},
        {0x29, scope::connack, {"00", "01"}, {"02"}},
        {0x2A, scope::connack, {"00", "01"}, {"02", "FF"}},
    };
    for (const auto& c : cases) {
        SCOPED_TRACE(c.id);
        for (const char* value : c.legal)
            EXPECT_EQ(outcome(decode(encoded(c.id, value), c.where)), reason_code::success);
        for (const char* value : c.illegal)
            EXPECT_EQ(outcome(decode(encoded(c.id, value), c.where)), reason_code::protocol_error);
    }
}

// 5.0:MQTT-1.5.4-1@server 5.0:MQTT-1.5.4-2@server 5.0:MQTT-1.5.7-1@server
TEST(Properties, IllFormedTextIsMalformed) {
    const std::pair<int, scope> texts[] = {
        {0x03, scope::publish}, {0x08, scope::publish}, {0x12, scope::connack},
        {0x15, scope::connect}, {0x1A, scope::connack}, {0x1C, scope::disconnect},
        {0x1F, scope::puback},
    };
    for (const auto& [id, where] : texts) {
        for (const char* text : {"00 01 00", "00 01 FF", "00 03 ED A0 80"})
            EXPECT_EQ(outcome(decode(encoded(id, text), where)), reason_code::malformed_packet);
    }
    for (const char* pair : {"00 01 FF 00 01 'v'", "00 01 'n' 00 01 FF", "00 01 00 00 01 'v'"})
        EXPECT_EQ(outcome(decode(encoded(0x26, pair), scope::connect)),
                  reason_code::malformed_packet);
}

TEST(Properties, AShortestVariableByteIntegerIsRequired) {
    EXPECT_EQ(outcome(decode(hex("0B 81 00"), scope::subscribe)), reason_code::malformed_packet);
    EXPECT_EQ(outcome(decode(hex("0B 80 80 80 80 01"), scope::subscribe)),
              reason_code::malformed_packet);
    EXPECT_EQ(outcome(decode(hex("81 00 01"), scope::publish)), reason_code::malformed_packet);
}

TEST(Properties, WrongPropertyLengthIsMalformed) {
    for (const char* data : {"", "01", "02 01", "03 01 00", "80", "80 00", "FF FF FF FF 7F",
                             "FF FF FF 7F 01 00", "01 01 00"}) {
        const byte_string bytes = hex(data);
        reader in(bytes);
        EXPECT_EQ(outcome(properties::decode(in, scope::publish)), reason_code::malformed_packet)
            << data;
    }
}

// 5.0:MQTT-2.2.2-1@server
TEST(Properties, LeaveWhatFollowsThem) {
    const byte_string data = hex("00 AA");
    reader none(data);
    const auto decoded = properties::decode(none, scope::publish);
    ASSERT_TRUE(decoded);
    EXPECT_TRUE(decoded->empty());
    EXPECT_EQ(none.remaining(), 1U);

    const byte_string more = hex("02 01 01 'payload'");
    reader some(more);
    ASSERT_TRUE(properties::decode(some, scope::publish));
    EXPECT_EQ(as_text(some.rest()), "payload");
}

TEST(Properties, GiveTypedAccess) {
    const auto decoded =
        decode(hex("01 01 02 00 00 0E 10 03 00 04 'json' 09 00 02 00 FF 23 00 07"), scope::publish);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->integer(property_id::payload_format_indicator, 9), 1U);
    EXPECT_EQ(decoded->integer(property_id::message_expiry_interval, 9), 3600U);
    EXPECT_EQ(decoded->integer(property_id::topic_alias, 9), 7U);
    EXPECT_EQ(decoded->text(property_id::content_type), "json");
    EXPECT_EQ(test::to_bytes(decoded->binary(property_id::correlation_data)), hex("00 FF"));
    EXPECT_FALSE(decoded->empty());
    EXPECT_EQ(decoded->all().size(), 5U);
}

TEST(Properties, GiveTheDefaultForWhatIsAbsentOrOfAnotherType) {
    const auto decoded = decode(hex("03 00 04 'json' 01 01"), scope::publish);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->integer(property_id::topic_alias, 9), 9U);
    EXPECT_EQ(decoded->integer(property_id::content_type, 9), 9U);
    EXPECT_EQ(decoded->text(property_id::response_topic), "");
    EXPECT_EQ(decoded->text(property_id::payload_format_indicator), "");
    EXPECT_TRUE(decoded->binary(property_id::correlation_data).empty());
    EXPECT_TRUE(decoded->binary(property_id::content_type).empty());
    EXPECT_FALSE(decoded->contains(property_id::user_property));
}

TEST(Properties, KeepOrderAndRepetitions) {
    const auto decoded =
        decode(hex("26 00 01 'b' 00 01 '1' 0B 02 26 00 01 'a' 00 00 0B 01 26 00 01 'b' 00 01 '1'"),
               scope::publish);
    ASSERT_TRUE(decoded);
    std::vector<user_property> pairs;
    std::vector<std::uint32_t> ids;
    for (const property& p : decoded->all()) {
        if (p.id == property_id::user_property) pairs.push_back(std::get<user_property>(p.value));
        if (p.id == property_id::subscription_identifier) ids.push_back(std::get<0>(p.value));
    }
    EXPECT_THAT(ids, testing::ElementsAre(2, 1));
    EXPECT_EQ(pairs, (std::vector<user_property>{{"b", "1"}, {"a", ""}, {"b", "1"}}));
}

TEST(Properties, EncodeEveryType) {
    properties all;
    all.add(property_id::payload_format_indicator, 1);
    all.add(property_id::topic_alias, 0x0102);
    all.add(property_id::message_expiry_interval, 0x01020304);
    all.add(property_id::subscription_identifier, 321);
    all.add(property_id::content_type, std::string_view("text"));
    const byte_string data = hex("00 FF");
    all.add(property_id::correlation_data, bytes_view(data));
    all.add("name", "value");
    byte_string out = hex("AA");
    EXPECT_TRUE(all.encode(out));
    EXPECT_EQ(out, hex("AA 27 01 01 23 01 02 02 01 02 03 04 0B C1 02 03 00 04 'text'"
                       "09 00 02 00 FF 26 00 04 'name' 00 05 'value'"));
}

// 5.0:MQTT-2.2.2-1@client
TEST(Properties, EncodeNothingAsLengthZero) {
    byte_string out;
    EXPECT_TRUE(properties{}.encode(out));
    EXPECT_EQ(out, hex("00"));
}

TEST(Properties, EncodeWhatWasDecoded) {
    for (const scope where : every_scope) {
        byte_string body;
        for (const known_property& p : table) {
            if (p.allowed.contains(where)) body = test::concat(body, encoded(p.id, p.value));
            if (p.repeatable.contains(where)) body = test::concat(body, encoded(p.id, p.value));
        }
        const auto decoded = decode(body, where);
        ASSERT_TRUE(decoded) << int(where);
        byte_string again;
        EXPECT_TRUE(decoded->encode(again));
        reader in(again);
        EXPECT_EQ(in.varint(), body.size());
        EXPECT_EQ(test::to_bytes(in.rest()), body) << int(where);
    }
}

TEST(Properties, LongOnesHaveALongLength) {
    const std::string value(65'535, 'v');
    properties many;
    for (int i = 0; i < 40; ++i)
        many.add("n", value);
    byte_string out;
    EXPECT_TRUE(many.encode(out));
    reader in(out);
    const auto decoded = properties::decode(in, scope::connect);
    ASSERT_TRUE(decoded);
    EXPECT_TRUE(in.at_end());
    EXPECT_EQ(decoded->all().size(), 40U);
    EXPECT_EQ(std::get<user_property>(decoded->all().back().value).value, value);
}

TEST(Properties, OfAPacketAreBoundedInNumber) {
    const auto encoded = [](std::size_t count) {
        const byte_string body = test::repeated({}, count, hex("26 00 00 00 00"));
        std::vector<std::uint8_t> out;
        writer(out).varint(static_cast<std::uint32_t>(body.size()));
        out.insert(out.end(), body.begin(), body.end());
        return out;
    };
    const auto most = encoded(most_properties);
    reader in(most);
    const auto decoded = properties::decode(in, scope::publish);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->all().size(), most_properties);
    const auto more = encoded(most_properties + 1);
    reader again(more);
    EXPECT_EQ(outcome(properties::decode(again, scope::publish)), reason_code::quota_exceeded);
}

}  // namespace
}  // namespace amqtt
