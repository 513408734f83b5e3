#include "protocol/packet_output.hpp"

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "codec/varint.hpp"
#include "support/wire.hpp"

namespace amqtt::test {
namespace {

constexpr protocol_version v3 = protocol_version::v3_1_1;

bytes take_all(output_queue& out) {
    bytes all;
    std::array<bytes_view, 3> slices;
    while (!out.empty()) {
        const std::size_t count = out.gather(slices);
        for (std::size_t i = 0; i < count; ++i) {
            all.insert(all.end(), slices[i].begin(), slices[i].end());
            out.consume(slices[i].size());
        }
    }
    return all;
}

std::size_t segment_count(const output_queue& out) {
    std::array<bytes_view, 16> slices;
    return out.gather(slices);
}

outgoing_publish make(std::string_view topic, bytes_view payload, qos level,
                      std::uint16_t packet_id) {
    outgoing_publish packet;
    packet.topic = topic;
    packet.payload = payload;
    packet.level = level;
    packet.packet_id = packet_id;
    return packet;
}

class packet_output : public testing::Test {
  protected:
    void append(const message_ptr& m, qos level, std::uint16_t packet_id, bool share) {
        EXPECT_TRUE(append_publish(out_, v3, make(m->topic(), m->payload(), level, packet_id),
                                   share ? m : nullptr));
    }

    block_pool pool_;
    output_queue out_{pool_};
};

TEST_F(packet_output, writes_flags_and_packet_identifier) {
    outgoing_publish packet = make("a/b", as_bytes("xyz"), qos::exactly_once, 0x1234);
    packet.retain = true;
    packet.dup = true;
    EXPECT_TRUE(append_publish(out_, v3, packet, nullptr));
    EXPECT_EQ(take_all(out_), wire("3d 0a 00 03 'a/b' 12 34 'xyz'"));
    EXPECT_TRUE(append_publish(out_, v3, make("a/b", {}, qos::at_most_once, 0), nullptr));
    EXPECT_EQ(take_all(out_), wire("30 05 00 03 'a/b'"));
}

TEST_F(packet_output, writes_an_empty_property_list_for_5_0) {
    EXPECT_TRUE(append_publish(out_, protocol_version::v5_0,
                               make("t", as_bytes("p"), qos::at_least_once, 2), nullptr));
    EXPECT_EQ(take_all(out_), wire("32 07 00 01 't' 00 02 00 'p'"));
}

TEST_F(packet_output, copies_small_payloads_into_one_block) {
    const message_ptr m = message::create("t", as_bytes("small"), qos::at_least_once, false);
    append(m, qos::at_least_once, 1, true);
    append(m, qos::at_least_once, 2, true);
    EXPECT_EQ(segment_count(out_), 1U);
    const bytes expected = publish({.topic = "t", .payload = "small", .level = 1, .packet_id = 1}) +
                           publish({.topic = "t", .payload = "small", .level = 1, .packet_id = 2});
    EXPECT_EQ(take_all(out_), expected);
}

TEST_F(packet_output, sends_large_payloads_from_the_message) {
    for (const std::size_t size :
         {copied_payload_max, copied_payload_max + 1, std::size_t{90'000}}) {
        const std::string payload(size, 'p');
        message_ptr m = message::create("t", as_bytes(payload), qos::at_most_once, false);
        const std::uint8_t* stored = m->payload().data();
        append(m, qos::at_most_once, 0, true);
        m.reset();  // the output holds it
        std::array<bytes_view, 4> slices;
        const std::size_t count = out_.gather(slices);
        const bool shared = size > copied_payload_max;
        EXPECT_EQ(count, shared ? 2U : 1U);
        if (shared) {
            EXPECT_EQ(slices[1].data(), stored);
        }
        EXPECT_EQ(take_all(out_), publish({.topic = "t", .payload = payload}));
    }
}

TEST_F(packet_output, copies_a_large_payload_nobody_keeps) {
    std::string payload(50'000, 'p');
    EXPECT_TRUE(
        append_publish(out_, v3, make("t", as_bytes(payload), qos::at_most_once, 0), nullptr));
    const bytes expected = publish({.topic = "t", .payload = payload});
    std::fill(payload.begin(), payload.end(), '!');
    EXPECT_EQ(take_all(out_), expected);
}

TEST_F(packet_output, takes_the_longest_topic) {
    const std::string topic(65'535, 't');
    for (const std::size_t size : {0U, 10U, 5'000U, 70'000U}) {
        const std::string payload(size, 'p');
        const message_ptr m = message::create(topic, as_bytes(payload), qos::at_most_once, false);
        for (const bool share : {false, true}) {
            append(m, qos::exactly_once, 3, share);
            EXPECT_EQ(take_all(out_),
                      publish({.topic = topic, .payload = payload, .level = 2, .packet_id = 3}));
        }
    }
}

TEST_F(packet_output, keeps_the_order_of_copied_and_shared_parts) {
    bytes expected;
    for (unsigned i = 0; i < 300; ++i) {
        const std::size_t size = i % 3 == 0 ? 5'000 + i : i;
        const std::string payload(size, static_cast<char>('a' + i % 26));
        const message_ptr m = message::create("t", as_bytes(payload), qos::at_least_once, false);
        const auto id = static_cast<std::uint16_t>(i + 1);
        append(m, qos::at_least_once, id, true);
        append_ack(out_, v3, packet_type::pubrel, id, reason_code::success);
        expected = expected +
                   publish({.topic = "t", .payload = payload, .level = 1, .packet_id = i + 1}) +
                   pubrel(i + 1);
    }
    EXPECT_EQ(out_.size(), expected.size());
    EXPECT_EQ(take_all(out_), expected);
}

TEST_F(packet_output, writes_acknowledgements_of_every_version) {
    for (const auto version : {protocol_version::v3_1, v3}) {
        append_ack(out_, version, packet_type::puback, 0xABCD, reason_code::success);
        append_ack(out_, version, packet_type::pubrec, 1, reason_code::not_authorized);
        append_ack(out_, version, packet_type::pubrel, 2, reason_code::success);
        append_ack(out_, version, packet_type::pubcomp, 3, reason_code::success);
        EXPECT_EQ(take_all(out_), wire("40 02 ab cd 50 02 00 01 62 02 00 02 70 02 00 03"));
    }
    append_ack(out_, protocol_version::v5_0, packet_type::puback, 1, reason_code::success);
    append_ack(out_, protocol_version::v5_0, packet_type::pubrec, 1, reason_code::not_authorized);
    append_ack(out_, protocol_version::v5_0, packet_type::pubrel, 1,
               reason_code::packet_identifier_not_found);
    EXPECT_EQ(take_all(out_), wire("40 02 00 01 50 03 00 01 87 62 03 00 01 92"));
}

// A message of the largest packet of MQTT 3 is one byte too long for 5.0.
TEST_F(packet_output, appends_nothing_when_there_is_no_such_packet) {
    const std::uint8_t byte = 0;
    const bytes_view payload(&byte, varint_max - 3);  // of which nothing is read
    EXPECT_FALSE(append_publish(out_, protocol_version::v5_0,
                                make("t", payload, qos::at_most_once, 0), nullptr));
    EXPECT_TRUE(out_.empty());
    const std::string topic(65'536, 't');
    EXPECT_FALSE(append_publish(out_, v3, make(topic, {}, qos::at_most_once, 0), nullptr));
    EXPECT_TRUE(out_.empty());
}

}  // namespace
}  // namespace amqtt::test
