// What an administrator's settings mean for clients of MQTT 5.0. The other cases of 5.0 are wire
// cases, which run with the settings that are the default.
#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

const bytes connect_c = wire("10 0f 00 04 'MQTT' 05 02 00 3c 00 00 02 'c1'");
const bytes default_connack = wire("20 06 00 00 03 22 00 20");

// 5.0:MQTT-3.3.4-7@server
TEST(settings_v5, receive_maximum) {
    broker_bed bed({.limits = {.receive_maximum = 2}});
    peer& c = bed["c"];
    c.send(connect_c).expect("20 09 00 00 06 21 00 02 22 00 20");
    c.send("34 07 00 01 't' 00 01 00 'x' 34 07 00 01 't' 00 02 00 'x'");
    c.expect("50 03 00 01 10 50 03 00 02 10");
    c.send("3c 07 00 01 't' 00 01 00 'x'").expect("50 02 00 01");     // sent again, not one more
    c.send("32 07 00 01 't' 00 03 00 'x'").expect("40 03 00 03 10");  // acknowledged at once
    c.send("62 02 00 01").expect("70 02 00 01");
    c.send("34 07 00 01 't' 00 05 00 'x'").expect("50 03 00 05 10");
    c.send("34 07 00 01 't' 00 06 00 'x'").expect("e0 01 93").expect_closed();
}

// The client may send it again on its next connection.
TEST(settings_v5, message_above_receive_maximum_is_not_accepted) {
    broker_bed bed({.limits = {.receive_maximum = 1}});
    bed["sub"].login({.client_id = "sub"}).subscribe("t");
    const std::string_view persistent =
        "10 14 00 04 'MQTT' 05 00 00 3c 05 11 ff ff ff ff 00 02 'c1'";
    bed["c"].send(persistent).expect("20 09 00 00 06 21 00 01 22 00 20");
    bed["c"].send("34 07 00 01 't' 00 01 00 'x'").expect("50 02 00 01");
    bed["c"].send("34 07 00 01 't' 00 02 00 'y'").expect("e0 01 93").expect_closed();
    bed["sub"].expect(publish({.topic = "t", .payload = "x"})).expect_nothing();
    peer& again = bed.reopen("c");
    again.send(persistent).expect("20 09 01 00 06 21 00 01 22 00 20");
    again.send("62 02 00 01").expect("70 02 00 01");
    again.send("3c 07 00 01 't' 00 02 00 'y'").expect("50 02 00 02");
    bed["sub"].expect(publish({.topic = "t", .payload = "y"})).expect_nothing();
}

// 5.0:MQTT-3.2.2-18@server
TEST(settings_v5, no_topic_alias) {
    broker_bed bed({.limits = {.topic_alias_maximum = 0}});
    bed["c"].send(connect_c).expect("20 03 00 00 00");
    bed["c"].send("30 08 00 01 't' 03 23 00 01 'x'").expect("e0 01 94").expect_closed();
}

TEST(settings_v5, few_topic_aliases) {
    broker_bed bed({.limits = {.topic_alias_maximum = 2}, .sent_topic_alias_maximum = 1});
    bed["c"].send(wire("10 12 00 04 'MQTT' 05 02 00 3c 03 22 00 09 00 02 'c1'"));
    bed["c"].expect("20 06 00 00 03 22 00 02").send("82 07 00 01 00 00 01 '#' 00");
    bed["c"].expect("90 04 00 01 00 00");
    bed["c"].send("30 0b 00 04 'long' 03 23 00 02 'x'").expect("30 08 00 04 'long' 00 'x'");
    bed["c"].send("30 07 00 00 03 23 00 02 'x'").expect("30 0b 00 04 'long' 03 23 00 01 'x'");
    bed["c"].send("30 0b 00 04 'else' 03 23 00 01 'x' 30 07 00 00 03 23 00 01 'x'");
    bed["c"].expect("30 08 00 04 'else' 00 'x' 30 08 00 04 'else' 00 'x'");
    bed["c"].send("30 0b 00 04 'long' 03 23 00 03 'x'").expect("e0 01 94").expect_closed();
}

// 5.0:MQTT-3.2.2-15@server
TEST(settings_v5, maximum_packet_size) {
    broker_bed bed({.limits = {.max_packet_size = 100}});
    peer& c = bed["c"];
    c.send(connect_c).expect("20 0b 00 00 08 27 00 00 00 64 22 00 20");
    c.send("32 62 00 01 't' 00 01 00 'x'*92").expect("40 03 00 01 10");
    c.send("32 63 00 01 't'").expect("e0 01 95").expect_closed();
    bed["d"].send("10 63 00 04 'MQTT' 05").expect_closed();
}

TEST(settings_v5, server_keep_alive) {
    broker_bed bed({.limits = {.max_keep_alive = 30}});
    bed["a"].send(connect_c).expect("20 09 00 00 06 22 00 20 13 00 1e");
    bed["b"].send("10 0f 00 04 'MQTT' 05 02 00 00 00 00 02 'c2'");
    bed["b"].expect("20 09 00 00 06 22 00 20 13 00 1e");
    bed["d"].send("10 0f 00 04 'MQTT' 05 02 00 0a 00 00 02 'c3'").expect(default_connack);
    bed.advance(14s);
    bed["d"].send(pingreq()).expect(pingresp());
    bed.advance(30s);
    bed["d"].expect("e0 01 8d").expect_closed();
    bed.advance(2s);
    bed["a"].expect("e0 01 8d").expect_closed();
    bed["b"].expect("e0 01 8d").expect_closed();
}

TEST(settings_v5, session_expiry) {
    broker_bed bed({.session_expiry = 60s});
    const std::string_view within = "10 14 00 04 'MQTT' 05 00 00 00 05 11 00 00 00 3c 00 02 'c1'";
    const std::string_view above = "10 14 00 04 'MQTT' 05 00 00 00 05 11 00 00 00 3d 00 02 'c1'";
    bed["a"].send(within).expect(default_connack).send(disconnect()).expect_closed();
    bed.advance(59s);
    bed["b"].send(above).expect("20 0b 01 00 08 11 00 00 00 3c 22 00 20");
    bed["b"].send(disconnect()).expect_closed();
    bed.advance(59s);
    EXPECT_NE(bed.session_of("c1"), nullptr);
    bed.advance(2s);
    EXPECT_EQ(bed.session_of("c1"), nullptr);
}

// The QoS granted is lowered without being announced (5.0:MQTT-3.2.2-10@server).
TEST(settings_v5, max_qos) {
    broker_bed bed({.max_qos = qos::at_least_once});
    bed["c"].send(connect_c).expect(default_connack);
    bed["c"].send("82 0f 00 01 00 00 01 'a' 00 00 01 'b' 01 00 01 'c' 02");
    bed["c"].expect("90 06 00 01 00 00 01 01");
    bed["c"]
        .send("34 07 00 01 'c' 00 01 00 'x'")
        .expect("32 07 00 01 'c' 00 01 00 'x' 50 02 00 01");
}

TEST(settings_v5, assigned_client_identifiers) {
    broker_bed bed({.random_seed = 7});
    std::vector<bytes> ids;
    for (const char* name : {"a", "b", "c"}) {
        bed[name].send("10 0d 00 04 'MQTT' 05 02 00 3c 00 00 00");
        const bytes answer = bed[name].take();
        ASSERT_EQ(answer.size(), 33U) << shown(answer);
        ids.emplace_back(answer.begin() + 8, answer.begin() + 30);
    }
    EXPECT_NE(ids[0], ids[1]);
    EXPECT_NE(ids[1], ids[2]);
    EXPECT_EQ(bed.core.sessions().size(), 3U);
}

TEST(settings_v5, assigned_client_identifiers_cannot_be_predicted) {
    std::vector<bytes> answers;
    for (int i = 0; i < 2; ++i) {
        broker_bed bed;
        bed["c"].send("10 0d 00 04 'MQTT' 05 02 00 3c 00 00 00");
        answers.push_back(bed["c"].take());
    }
    EXPECT_NE(answers[0], answers[1]);
}

TEST(settings_v5, denied_authentication) {
    broker_bed bed;
    bed.hooks.answer = verdict::deny;
    bed["c"].send(connect_c).expect("20 03 00 87 00").expect_closed();
}

TEST(settings_v5, late_answer_for_a_client_without_room_for_connack) {
    broker_bed bed;
    bed.hooks.answer = verdict::pending;
    bed["c"].send("10 14 00 04 'MQTT' 05 02 00 3c 05 27 00 00 00 06 00 02 'c1' c0 00");
    bed.decide(0, true);
    bed["c"].expect("20 03 00 95 00").expect_closed();
    EXPECT_EQ(bed.core.sessions().size(), 0U);
}

// 5.0:MQTT-3.14.2-1@server
TEST(settings_v5, shutdown) {
    broker_bed bed;
    bed["c"].send(connect_c).expect(default_connack);
    bed["d"].login({.client_id = "d"});
    bed.shutdown();
    bed["c"].expect("e0 01 8b").expect_closed();
    bed["d"].expect_closed();
}

}  // namespace
}  // namespace amqtt::test
