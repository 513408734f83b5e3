// What a listener or the settings admit of what a client may do.
#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

const bytes connect_c = wire("10 0f 00 04 'MQTT' 05 02 00 3c 00 00 02 'c1'");
constexpr std::string_view default_connack = "20 06 00 00 03 22 00 20";

// 5.0:MQTT-3.2.2-9@server 5.0:MQTT-3.2.2-10@server 5.0:MQTT-3.2.2-11@server
TEST(connection_limits, max_qos) {
    broker_bed bed({.limits = {.max_qos = qos::at_least_once}});
    peer& c = bed["c"];
    c.send(connect_c).expect("20 08 00 00 05 24 01 22 00 20");
    c.send("82 07 00 01 00 00 01 't' 02").expect("90 04 00 01 00 02");
    c.send("32 07 00 01 't' 00 01 00 'x'").expect("32 07 00 01 't' 00 01 00 'x' 40 02 00 01");
    c.send("34 07 00 01 't' 00 02 00 'x'").expect("e0 01 9b").expect_closed();
    bed["old"].login({.client_id = "old"}).send("34 06 00 01 't' 00 02 'x'").expect_closed();
}

// 5.0:MQTT-3.2.2-12@server
TEST(connection_limits, max_qos_of_wills) {
    broker_bed bed({.limits = {.max_qos = qos::at_least_once}});
    bed["a"].send("10 16 00 04 'MQTT' 05 16 00 3c 00 00 02 'c1' 00 00 01 'w' 00 01 'x'");
    bed["a"].expect("20 03 00 9b 00").expect_closed();
    bed["b"].send(connect({.client_id = "b", .will = {{"w", "x", 2}}})).expect_closed();
    bed["d"].send("10 16 00 04 'MQTT' 05 0e 00 3c 00 00 02 'c1' 00 00 01 'w' 00 01 'x'");
    bed["d"].expect("20 08 00 00 05 24 01 22 00 20");
}

// 5.0:MQTT-3.2.2-13@server 5.0:MQTT-3.2.2-14@server
TEST(connection_limits, retain_available) {
    broker_bed bed({.limits = {.retain_available = false}});
    bed["a"].send("10 16 00 04 'MQTT' 05 26 00 3c 00 00 02 'c1' 00 00 01 'w' 00 01 'x'");
    bed["a"].expect("20 03 00 9a 00").expect_closed();
    peer& c = bed["c"];
    c.send(connect_c).expect("20 08 00 00 05 25 00 22 00 20");
    c.send("30 05 00 01 't' 00 'x'").expect_nothing().expect_open();
    c.send("31 05 00 01 't' 00 'x'").expect("e0 01 9a").expect_closed();
    bed["old"].login({.client_id = "old"}).send(publish({.topic = "t", .retain = true}));
    bed["old"].expect_closed();
    EXPECT_EQ(bed.core.routes().retained().size(), 0U);
}

TEST(connection_limits, protocol_versions) {
    const bytes v3_1_1 = connect({.client_id = "c"});
    const auto admits = [](connection_limits limits, const bytes& packet) {
        broker_bed bed({.limits = limits});
        bed["c"].send(packet);
        const bytes answer = bed["c"].take();
        const bool in = bed.core.sessions().size() == 1;
        if (!in) bed["c"].expect_closed();
        return std::pair(in, answer);
    };
    EXPECT_TRUE(admits({.v3_1 = false, .v5_0 = false}, v3_1_1).first);
    EXPECT_EQ(admits({.v3_1 = false}, wire("10 0f 00 06 'MQIsdp' 03 02 00 3c 00 01 'c'")),
              std::pair(false, connack(false, 1)));
    EXPECT_EQ(admits({.v3_1_1 = false}, v3_1_1), std::pair(false, connack(false, 1)));
    EXPECT_EQ(admits({.v5_0 = false}, connect_c), std::pair(false, wire("20 03 00 84 00")));
}

TEST(connection_limits, keep_alive) {
    broker_bed bed({.limits = {.min_keep_alive = 20, .max_keep_alive = 100}});
    bed["long"].send("10 0f 00 04 'MQTT' 05 02 00 65 00 00 02 'c1'");
    bed["long"].expect("20 09 00 00 06 22 00 20 13 00 64");
    bed["none"].send("10 0f 00 04 'MQTT' 05 02 00 00 00 00 02 'c2'");
    bed["none"].expect("20 09 00 00 06 22 00 20 13 00 64");
    bed["short"].send("10 0f 00 04 'MQTT' 05 02 00 01 00 00 02 'c3'");
    bed["short"].expect("20 09 00 00 06 22 00 20 13 00 14");
    bed["right"].send("10 0f 00 04 'MQTT' 05 02 00 3c 00 00 02 'c4'").expect(default_connack);
    bed["old"].login({.client_id = "old", .keep_alive = 100});
    bed["old long"].send(connect({.client_id = "x", .keep_alive = 101})).expect(connack(false, 5));
    bed["old long"].expect_closed();
    bed["old none"].send(connect({.client_id = "x"})).expect(connack(false, 5)).expect_closed();
    bed.advance(29s);
    bed["short"].expect_open();
    bed.advance(2s);
    bed["short"].expect("e0 01 8d").expect_closed();
}

TEST(connection_limits, anonymous_clients_are_refused_unasked) {
    broker_bed bed({.limits = {.anonymous = false}});
    bed["a"].send(connect({.client_id = "a"})).expect(connack(false, 5)).expect_closed();
    EXPECT_TRUE(bed.hooks.asked.empty());
    bed["b"].login({.client_id = "b", .user_name = "u"});
    EXPECT_EQ(bed.hooks.asked.size(), 1U);
}

TEST(connection_limits, anonymous_clients_are_admitted_unasked) {
    broker_bed bed({.limits = {.anonymous = true}});
    bed.hooks.answer = verdict::deny;
    bed["a"].login({.client_id = "a"});
    bed["b"].send(connect({.client_id = "b", .user_name = "u"})).expect(connack(false, 5));
}

TEST(connection_limits, connect_has_a_size_of_its_own) {
    broker_bed bed({.limits = {.max_connect_size = 20}});
    bed["a"].send("10 12 00 04 'MQTT' 04 02 00 00 00 06 'client'").expect(connack());
    bed["a"].send("30 ff 7f");
    bed["a"].expect_open();
    bed["b"].send("10 13 00 04 'MQTT' 04 02 00 00 00 07 'client2'").expect_closed();
    bed["c"].send("10 ff ff ff 7f").expect_closed();
    EXPECT_EQ(bed.core.sessions().size(), 1U);
}

TEST(connection_limits, of_the_listener_come_before_those_of_the_settings) {
    broker_bed bed({.limits = {.topic_alias_maximum = 1}});
    const connection_limits own{.topic_alias_maximum = 7};
    fake_link network;
    const auto c = bed.core.open(network, {"here", 1, "special", nullptr, &own}, bed.now);
    bed.core.receive(*c, connect_c, bed.now);
    const bytes out = take_all(c->connection.output());
    EXPECT_EQ(out, wire("20 06 00 00 03 22 00 07"));
    bed.core.closed(*c, bed.now);
}

// MQTT 3 has no Receive Maximum: its clients cannot know of one.
TEST(connection_limits, receive_maximum_is_not_for_version_3) {
    broker_bed bed({.limits = {.receive_maximum = 1}});
    peer& c = bed["c"];
    c.login({.client_id = "c"});
    for (unsigned id = 1; id <= 3; ++id) {
        c.send(publish({.topic = "t", .level = 2, .packet_id = id}));
        c.expect(pubrec(id));
    }
}

// What an earlier connection left does not count against this one.
TEST(connection_limits, receive_maximum_starts_anew_with_each_connection) {
    broker_bed bed({.limits = {.receive_maximum = 1}});
    const std::string_view persistent =
        "10 14 00 04 'MQTT' 05 00 00 3c 05 11 ff ff ff ff 00 02 'c1'";
    bed["c"].send(persistent).expect("20 09 00 00 06 21 00 01 22 00 20");
    bed["c"].send("34 07 00 01 't' 00 01 00 'x'").expect("50 03 00 01 10");
    peer& c = bed.reopen("c");
    c.send(persistent).expect("20 09 01 00 06 21 00 01 22 00 20");
    c.send("34 07 00 01 't' 00 02 00 'x'").expect("50 03 00 02 10");
    c.send("34 07 00 01 't' 00 03 00 'x'").expect("e0 01 93").expect_closed();
}

// -- tolerances

TEST(tolerances_of_clients, long_client_id) {
    const bytes long_id = wire("10 26 00 06 'MQIsdp' 03 02 00 3c 00 18 'x'*24");
    broker_bed strict;
    strict["c"].send(long_id).expect(connack(false, 2)).expect_closed();
    broker_bed lenient({.limits = {.tolerated = tolerance::long_client_id}});
    lenient["c"].send(long_id).expect(connack());
}

TEST(tolerances_of_clients, password_without_user_name) {
    const bytes alone = wire("10 10 00 04 'MQTT' 04 42 00 00 00 01 'c' 00 01 'p'");
    broker_bed strict;
    strict["c"].send(alone).expect_closed();
    broker_bed lenient({.limits = {.tolerated = tolerance::password_without_user_name}});
    lenient["c"].send(alone).expect(connack());
    EXPECT_EQ(lenient["c"].core().request->password(), "p");
}

TEST(tolerances_of_clients, dup_at_qos_0) {
    broker_bed strict;
    strict["c"].login({.client_id = "c"}).send("38 04 00 01 't' 'x'").expect_closed();
    broker_bed lenient({.limits = {.tolerated = tolerance::dup_at_qos_0}});
    lenient["c"].login({.client_id = "c"}).subscribe("t").send("38 04 00 01 't' 'x'");
    lenient["c"].expect("30 04 00 01 't' 'x'");
}

TEST(tolerances_of_clients, dup_of_subscribe) {
    const bytes repeated = wire("8a 06 00 01 00 01 't' 00");
    broker_bed strict;
    strict["c"].login({.client_id = "c"}).send(repeated).expect_closed();
    broker_bed lenient({.limits = {.tolerated = tolerance::dup_of_subscribe}});
    lenient["c"].login({.client_id = "c"}).send(repeated).expect(suback(1, {0}));
    lenient["c"].send("aa 05 00 02 00 01 't'").expect(unsuback(2));
}

// 3.1.1:MQTT-4.7.1-2@server 3.1.1:MQTT-4.7.1-3@server 3.1.1:MQTT-4.8.0-1@server
TEST(tolerances_of_clients, invalid_filter) {
    const bytes among_others = subscribe(1, {{"a", 1}, {"b#", 0}, {"c/+d", 0}});
    broker_bed strict;
    strict["a"].login({.client_id = "a"}).send(among_others).expect_closed();
    strict["b"].login({.client_id = "b"}).send(unsubscribe(1, {"b#"})).expect_closed();
    strict["c"].login({.client_id = "c"}).send(subscribe(1, {{"$share/g+/t", 0}})).expect_closed();
    EXPECT_EQ(strict.hooks.logs_with("topic filter with a wildcard"), 3U);
    // Shared subscriptions are of 5.0, so in MQTT 3 there is nothing wrong with the text.
    strict["d"].login({.client_id = "d"}).send(subscribe(1, {{"$share/g", 0}}));
    strict["d"].expect(suback(1, {0x80}));
    broker_bed lenient({.limits = {.tolerated = tolerance::invalid_filter}});
    lenient["c"].login({.client_id = "c"}).send(among_others).expect(suback(1, {1, 0x80, 0x80}));
    lenient["c"].send(unsubscribe(2, {"a", "b#"})).expect(unsuback(2));
}

// -- what the settings switch on

// 5.0:MQTT-4.3.3-9@server
TEST(payload_format, is_checked_on_request) {
    broker_bed bed({.check_payload_format = true});
    bed["sub"].login({.client_id = "sub"}).subscribe("t");
    peer& c = bed["c"];
    c.send(connect_c).expect(default_connack);
    c.send("30 07 00 01 't' 02 01 01 ff").expect_nothing();
    c.send("32 09 00 01 't' 00 01 02 01 01 ff").expect("40 03 00 01 99");
    c.send("34 09 00 01 't' 00 01 02 01 01 ff").expect("50 03 00 01 99");
    bed["sub"].expect_nothing();
    // The identifier is free for a new message.
    c.send("34 09 00 01 't' 00 01 02 01 01 'y'").expect("50 02 00 01");
    bed["sub"].expect("30 04 00 01 't' 'y'");
    c.send("62 02 00 01").expect("70 02 00 01");
    c.send("30 07 00 01 't' 02 01 00 ff").expect_nothing();
    bed["sub"].expect("30 04 00 01 't' ff");
    bed["w"].send("10 18 00 04 'MQTT' 05 06 00 3c 00 00 02 'c2' 02 01 01 00 01 'w' 00 01 ff");
    bed["w"].expect("20 03 00 99 00").expect_closed();
}

TEST(payload_format, is_not_checked_otherwise) {
    broker_bed bed;
    bed["sub"].login({.client_id = "sub"}).subscribe("t");
    bed["c"].send(connect_c).expect(default_connack).send("30 07 00 01 't' 02 01 01 ff");
    bed["sub"].expect("30 04 00 01 't' ff");
}

TEST(response_information, is_for_clients_that_ask) {
    broker_bed bed({.response_information = "re/{client_id}/"});
    bed["a"].send(connect_c).expect(default_connack);
    bed["b"].send("10 11 00 04 'MQTT' 05 02 00 3c 02 19 01 00 02 'c2'");
    bed["b"].expect("20 0f 00 00 0c 22 00 20 1a 00 06 're/c2/'");
    bed["d"].send("10 11 00 04 'MQTT' 05 02 00 3c 02 19 00 00 02 'c3'").expect(default_connack);
}

TEST(response_information, is_not_for_identifiers_that_reach_the_topics_of_others) {
    broker_bed bed({.response_information = "{client_id}/re"});
    for (const char* id : {"a/b", "a+b", "#aa", "$SY"}) {
        bed.reopen("c").send(wire("10 12 00 04 'MQTT' 05 02 00 3c 02 19 01") + string_field(id));
        bed["c"].expect(default_connack);
    }
    EXPECT_EQ(bed.hooks.logs_with("got no Response Information"), 4U);
    broker_bed plain({.response_information = "re/"});
    plain["c"].send(wire("10 12 00 04 'MQTT' 05 02 00 3c 02 19 01") + string_field("a/b"));
    plain["c"].expect("20 0c 00 00 09 22 00 20 1a 00 03 're/'");
}

TEST(server_reference, is_told_at_shutdown) {
    broker_bed bed({.server_reference = "other:1883"});
    bed["c"].send(connect_c).expect(default_connack);
    bed["old"].login({.client_id = "old"});
    bed.shutdown();
    bed["c"].expect("e0 0f 9c 0d 1c 00 0a 'other:1883'").expect_closed();
    bed["old"].expect_closed();
}

// 5.0:MQTT-3.14.2-3@server
TEST(reason_strings, are_told_when_there_is_room) {
    broker_bed bed({.reason_strings = true});
    bed["a"].send(connect_c).expect(default_connack).send("30 06 00 03 'a/#' 00");
    const bytes told = bed["a"].take();
    EXPECT_EQ(bytes(told.begin(), told.begin() + 1), wire("e0"));
    EXPECT_EQ(told.at(2), 0x90);
    EXPECT_EQ(told.at(4), 0x1f);
    EXPECT_NE(as_text(told).find("topic of PUBLISH"), std::string_view::npos);
    bed["b"].send("10 14 00 04 'MQTT' 05 02 00 3c 05 27 00 00 00 10 00 02 'c2'");
    bed["b"].expect(default_connack).send("30 06 00 03 'a/#' 00").expect("e0 01 90");
    bed["d"].send("10 0f 00 04 'MQTT' 05 03 00 3c 00 00 02 'c1'");
    EXPECT_NE(as_text(bed["d"].take()).find("reserved flag"), std::string_view::npos);
    bed["old"].login({.client_id = "old"}).send("30 05 00 03 'a/#'").expect_closed();
}

// 5.0:MQTT-3.1.2-24@server
TEST(answers, that_are_too_large_for_the_client_end_the_connection) {
    broker_bed bed;
    peer& c = bed["c"];
    c.send("10 14 00 04 'MQTT' 05 02 00 3c 05 27 00 00 00 08 00 02 'c1'").expect(default_connack);
    c.send("82 0b 00 01 00 00 01 'a' 00 00 01 'b' 00").expect("90 05 00 01 00 00 00");
    c.send("82 13 00 01 00 00 01 'a' 00 00 01 'b' 00 00 01 'c' 00 00 01 'd' 00");
    c.expect("e0 01 95").expect_closed();
}

// 5.0:MQTT-1.5.5-1@server
TEST(remaining_length, has_as_few_bytes_as_it_can) {
    broker_bed bed;
    bed["a"].send("10 8f 00 00 04 'MQTT' 05 02 00 3c 00 00 02 'c1'").expect("20 03 00 81 00");
    bed["a"].expect_closed();
    bed["b"].send(connect_c).expect(default_connack).send("c0 80 00").expect("e0 01 81");
    bed["b"].expect_closed();
    // Nothing normative says so in MQTT 3.
    bed["c"].send("10 8d 00 00 04 'MQTT' 04 02 00 00 00 01 'c'").expect(connack());
}

}  // namespace
}  // namespace amqtt::test
