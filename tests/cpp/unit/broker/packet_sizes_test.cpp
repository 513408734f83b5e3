// Packets that are larger than a client accepts, or than a packet can be: what is left out, what is
// dropped and counted, and what ends the connection.
#include <gtest/gtest.h>

#include "codec/varint.hpp"
#include "support/durable_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

// CONNECT of MQTT 5.0 that keeps its session, with a Maximum Packet Size below 256.
bytes connect_with_most(unsigned most, std::string_view client_id, bool clean = true) {
    const bytes properties =
        wire("11 ff ff ff ff 27 00 00 00") + bytes{static_cast<std::uint8_t>(most)};
    return packet(0x10, wire("00 04 'MQTT' 05") + bytes{static_cast<std::uint8_t>(clean ? 2 : 0)} +
                            wire("00 00 0a") + properties + string_field(client_id));
}

std::size_t lines_of_too_large(const broker_bed& bed) {
    return bed.hooks.logs_with("message too large");
}

struct bounded_subscriber : testing::Test {
    // A subscriber that accepts 30 bytes, and a publisher.
    void log_in(unsigned level) {
        sub().send(connect_with_most(30, "sub")).take();
        sub().send(
            packet(0x82, wire("00 09 00 00 01 't'") + bytes{static_cast<std::uint8_t>(level)}));
        sub().take();
        pub().login({.client_id = "pub"});
    }
    peer& sub() { return bed["sub"]; }
    peer& pub() { return bed["pub"]; }
    void publish_large(unsigned level, unsigned packet_id = 0) {
        pub().send(publish({.topic = "t",
                            .payload = std::string(30, 'x'),
                            .level = level,
                            .packet_id = packet_id}));
        pub().take();
    }
    std::uint64_t too_large() const { return bed.core.stats().publish_too_large; }

    broker_bed bed;
};

// 5.0:MQTT-3.1.2-24@server 5.0:MQTT-3.1.2-25@server
TEST_F(bounded_subscriber, that_a_message_is_too_large_for_is_counted_at_every_qos) {
    log_in(2);
    for (unsigned level = 0; level < 3; ++level)
        publish_large(level, level);
    sub().expect_nothing();
    EXPECT_EQ(too_large(), 3U);
    EXPECT_EQ(bed.core.stats().publish_dropped, 0U);
    EXPECT_EQ(bed.core.stats().publish_sent, 0U);
    EXPECT_EQ(lines_of_too_large(bed), 1U);
    bed.advance(11s);
    publish_large(0);
    EXPECT_EQ(lines_of_too_large(bed), 3U);  // one of them has the number of the others
    EXPECT_EQ(bed.hooks.logs_with("dropped it for client 'sub'"), 3U);
    EXPECT_EQ(bed.hooks.logs_with("(and 2 more in the last"), 1U);
    pub().send(publish({.topic = "t", .payload = "small"})).take();
    sub().expect("30 09 00 01 't' 00 'small'");
}

TEST_F(bounded_subscriber, misses_a_queued_message_that_is_too_large) {
    log_in(1);
    sub().stop_reading();
    bed.publish("t", std::string(20, 's'), qos::at_least_once);
    while (bed.queued("sub") == 0)  // its output is not full yet
        bed.publish("t", std::string(20, 's'), qos::at_most_once);
    publish_large(1, 1);
    EXPECT_EQ(bed.queued("sub"), 2U);
    EXPECT_EQ(too_large(), 0U);
    sub().read_on().take();
    EXPECT_EQ(bed.queued("sub"), 0U);
    EXPECT_EQ(too_large(), 1U);
}

TEST_F(bounded_subscriber, misses_a_retained_message_that_is_too_large) {
    pub().login({.client_id = "pub"});
    pub().send(publish({.topic = "t", .payload = std::string(30, 'x'), .retain = true}));
    sub().send(connect_with_most(30, "sub")).take();
    sub().send("82 07 00 09 00 00 01 't' 00").expect("90 04 00 09 00 00").expect_nothing();
    EXPECT_EQ(too_large(), 1U);
}

// It comes back and accepts less than before.
TEST_F(bounded_subscriber, misses_what_is_in_flight_and_too_large_now) {
    sub().send(connect_with_most(200, "sub", false)).take();
    sub().send("82 07 00 09 00 00 01 't' 01").take();
    pub().login({.client_id = "pub"});
    publish_large(1, 1);
    publish_large(1, 2);
    EXPECT_EQ(split_packets(sub().take()).size(), 2U);
    sub().abort();
    peer& again = bed.reopen("sub");
    again.send(connect_with_most(30, "sub", false));
    EXPECT_EQ(split_packets(again.take()).size(), 1U);  // CONNACK
    EXPECT_EQ(too_large(), 2U);
    EXPECT_EQ(bed.session_of("sub")->inflight().size(), 0U);
}

TEST_F(bounded_subscriber, of_a_shared_subscription_is_counted) {
    sub().send(connect_with_most(30, "sub")).take();
    sub().send("82 10 00 09 00 00 0a '$share/g/t' 01").take();
    pub().login({.client_id = "pub"});
    publish_large(1, 1);
    sub().expect_nothing();
    EXPECT_EQ(too_large(), 1U);
}

// A PUBLISH of MQTT 3.1.1 with the largest Remaining Length is a byte longer in 5.0.
TEST(largest_message, is_dropped_for_a_subscriber_of_5_0) {
    broker_bed bed;
    bed["v5"].send("10 0f 00 04 'MQTT' 05 02 00 00 00 00 02 'v5'").take();
    bed["v5"].send("82 07 00 09 00 00 01 't' 00").take();
    // Nothing of it is read, as it goes nowhere.
    const char byte = 'x';
    bed.publish("t", std::string_view(&byte, varint_max - 3), qos::at_most_once);
    bed["v5"].expect_nothing();
    EXPECT_EQ(bed.core.stats().publish_too_large, 1U);
    bed.publish("t", "y", qos::at_most_once);
    bed["v5"].expect("30 05 00 01 't' 00 'y'");
}

// -- CONNACK

// 5.0:MQTT-3.2.2-19@server
TEST(connack_size, leaves_out_the_reason_string_of_a_connect_that_cannot_be_decoded) {
    broker_bed bed({.reason_strings = true});
    // The will is cut off; Maximum Packet Size is 8, then 100.
    bed["a"].send("10 17 00 04 'MQTT' 05 06 00 3c 05 27 00 00 00 08 00 02 'c1' 00 00 07");
    bed["a"].expect("20 03 00 81 00").expect_closed();
    bed["b"].send("10 17 00 04 'MQTT' 05 06 00 3c 05 27 00 00 00 64 00 02 'c1' 00 00 07");
    EXPECT_GT(bed["b"].take().size(), 5U);
    // It cannot be told what it accepts: cut off, or of a version that nobody knows.
    bed["c"].send("10 0f 00 04 'MQTT' 05 02 00 3c 05 27 00 00 00");
    bed["c"].expect("20 03 00 81 00").expect_closed();
    bed["d"].send("10 0f 00 04 'MQTT' 06 02 00 3c 00 00 02 'c1'");
    bed["d"].expect("20 03 00 84 00").expect_closed();
    // Remaining Length is longer than it has to be.
    bed["e"].send("10 94 00 00 04 'MQTT' 05 02 00 3c 05 27 00 00 00 08 00 02 'c1'");
    bed["e"].expect("20 03 00 81 00").expect_closed();
}

TEST(connack_size, leaves_out_response_information) {
    broker_settings settings;
    settings.response_information = "replies/{client_id}";
    broker_bed bed(settings);
    // Request Response Information, and a Maximum Packet Size of 26, then 25.
    bed["a"].send("10 16 00 04 'MQTT' 05 02 00 3c 07 19 01 27 00 00 00 15 00 02 'c1'");
    bed["a"].expect("20 13 00 00 10 22 00 20 1a 00 0a 'replies/c1'");
    bed["b"].send("10 16 00 04 'MQTT' 05 02 00 3c 07 19 01 27 00 00 00 14 00 02 'c2'");
    bed["b"].expect("20 06 00 00 03 22 00 20");
}

// `{client_id}` stands for up to 65,535 bytes.
TEST(connack_size, leaves_out_response_information_that_no_packet_can_hold) {
    broker_settings settings;
    settings.response_information = "r/{client_id}/{client_id}";
    broker_bed bed(settings);
    const std::string id(40'000, 'c');
    bed["a"].send(packet(0x10, wire("00 04 'MQTT' 05 02 00 3c 02 19 01") + string_field(id)));
    bed["a"].expect("20 06 00 00 03 22 00 20").send(pingreq()).expect(pingresp());
}

// What must be said does not fit: the client is refused (5.0: section 3.2.2.3.7).
TEST(connack_size, refuses_a_client_without_room_for_its_identifier) {
    broker_bed bed;
    bed["a"].send("10 12 00 04 'MQTT' 05 02 00 3c 05 27 00 00 00 10 00 00");
    bed["a"].expect("20 03 00 95 00").expect_closed();
}

// -- DISCONNECT

// 5.0:MQTT-3.14.2-3@server
TEST(disconnect_size, leaves_out_a_server_reference) {
    broker_settings settings;
    settings.server_reference = "elsewhere";
    broker_bed bed(settings);
    bed["all"].send(connect_with_most(200, "all")).take();
    bed["some"].send(connect_with_most(16, "some")).take();
    bed["none"].send(connect_with_most(15, "none")).take();
    bed.shutdown();
    bed["all"].expect("e0 0e 9c 0c 1c 00 09 'elsewhere'");
    bed["some"].expect("e0 0e 9c 0c 1c 00 09 'elsewhere'");
    bed["none"].expect("e0 01 9c");
}

// A SUBACK with too many codes cannot be sent, which the client is told, though SUBACK itself would
// have waited for the store.
TEST_F(durable_bed, tells_at_once_that_there_is_no_room_for_an_answer) {
    at("s").send(connect_with_most(20, "s", false));
    bed->commit_all();
    at("s").take();
    bytes many = wire("00 09 00");
    for (int i = 0; i < 20; ++i)
        many = many + string_field("t" + std::to_string(i)) + bytes{1};
    at("s").send(packet(0x82, many)).expect("e0 01 95").expect_closed();
}

TEST_F(durable_bed, tells_at_once_that_there_is_no_room_for_the_answer_to_unsubscribe) {
    at("s").send(connect_with_most(20, "s", false));
    bed->commit_all();
    at("s").take();
    at("s").send("82 07 00 08 00 00 01 't' 01");
    bed->commit_all();
    at("s").take();
    bytes many = wire("00 09 00 00 01 't'");
    for (int i = 0; i < 20; ++i)
        many = many + string_field("t" + std::to_string(i));
    at("s").send(packet(0xA2, many)).expect("e0 01 95").expect_closed();
}

// DISCONNECT may not come before CONNACK, which waits for the store.
TEST_F(durable_bed, disconnects_behind_a_connack_that_waits) {
    at("s").send(connect_with_most(200, "s", false)).expect_nothing();
    at("s").send("d0 00").expect_nothing().expect_open();
    bed->commit_all();
    EXPECT_EQ(split_packets(at("s").take()).size(), 2U);
    at("s").expect_closed();
}

}  // namespace
}  // namespace amqtt::test
