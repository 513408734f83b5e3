// What the broker does when clients reach the quotas of what it keeps.
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

const bytes connect_v5 = wire("10 0f 00 04 'MQTT' 05 02 00 3c 00 00 02 'c5'");
const bytes connack_v5 = wire("20 06 00 00 03 22 00 20");

broker_settings with(const broker_quotas& quotas) {
    broker_settings settings;
    settings.quotas = quotas;
    return settings;
}

publish_spec retained(const std::string& topic, const std::string& payload) {
    return {.topic = topic, .payload = payload, .retain = true};
}

TEST(quota_of_sessions, refuses_the_client_that_would_be_one_more) {
    broker_bed bed(with({.sessions = 2}));
    bed["a"].login({.client_id = "a", .clean = false}).send(disconnect());
    bed["b"].login({.client_id = "b"});
    bed["c"].send(connect({.client_id = "c"})).expect("20 02 00 03").expect_closed();
    bed["c5"].send(connect_v5).expect("20 03 00 97 00").expect_closed();
    // Whoever has a session may have it back, or begin a new one.
    bed["a2"].login({.client_id = "a", .clean = false}, true);
    bed["b2"].login({.client_id = "b"});
    bed["b2"].send(disconnect());
    bed.reopen("c").login({.client_id = "c"});
}

TEST(quota_of_subscriptions, refuses_new_filters_only) {
    broker_bed bed(with({.subscriptions = 2}));
    peer& c = bed["c"].login({.client_id = "c"});
    c.send(subscribe(1, {{"a", 1}, {"b", 1}, {"c", 1}, {"a", 0}}));
    c.expect(suback(1, {1, 1, 0x80, 0}));
    bed["other"].login({.client_id = "other"}).subscribe("c");
    c.send(unsubscribe(2, {"a"})).expect(unsuback(2)).subscribe("c");
    bed["c5"].send(connect_v5).expect(connack_v5);
    bed["c5"].send("82 0f 00 01 00 00 01 'a' 00 00 01 'b' 00 00 01 'c' 00");
    bed["c5"].expect("90 06 00 01 00 00 00 97");
    EXPECT_EQ(bed.core.routes().subscription_count(), 5U);
}

TEST(quota_of_topic_levels, counts_those_of_the_filter) {
    broker_bed bed(with({.topic_levels = 3}));
    peer& c = bed["c"].login({.client_id = "c"});
    c.send(subscribe(1, {{"a/b/c", 0}, {"a/b/c/d", 0}, {"//", 0}, {"///", 0}, {"+/+/+/#", 0}}));
    c.expect(suback(1, {0, 0x80, 0, 0x80, 0x80}));
    c.send(subscribe(2, {{"$share/g/a/b/c", 0}, {"$share/g/a/b/c/d", 0}}));
    c.expect(suback(2, {0, 0x80}));
}

TEST(quota_of_topic_levels, counts_those_of_a_retained_message) {
    broker_bed bed(with({.topic_levels = 3}));
    bed["sub"].login({.client_id = "sub"}).subscribe("#");
    peer& pub = bed["pub"].login({.client_id = "pub"});
    pub.send(publish(retained("a/b/c/d", "x")));
    bed["sub"].expect(publish({.topic = "a/b/c/d", .payload = "x"}));
    EXPECT_EQ(bed.core.routes().retained().size(), 0U);
    // Who is only there to be delivered may be as deep as it likes.
    pub.send(publish({.topic = "a/b/c/d/e", .payload = "y"}));
    bed["sub"].expect(publish({.topic = "a/b/c/d/e", .payload = "y"}));
}

TEST(quota_of_retained_messages, delivers_but_does_not_keep) {
    broker_bed bed(with({.retained_messages = 2}));
    bed["sub"].login({.client_id = "sub"}).subscribe("#");
    peer& pub = bed["pub"].login({.client_id = "pub"});
    for (const char* topic : {"a", "b", "c", "a"})
        pub.send(publish(retained(topic, "x")));
    EXPECT_EQ(bed["sub"].take_packets().size(), 4U);
    EXPECT_EQ(bed.core.routes().retained().size(), 2U);
    EXPECT_EQ(bed.core.routes().retained().find("c"), nullptr);
    EXPECT_EQ(bed.hooks.logs_with("did not keep that of topic 'c'"), 1U);
    pub.send(publish(retained("a", ""))).send(publish(retained("c", "x")));
    EXPECT_NE(bed.core.routes().retained().find("c"), nullptr);
}

TEST(quota_of_retained_messages, is_told_to_a_client_that_can_be_told) {
    broker_bed bed(with({.retained_messages = 1}));
    bed["sub"].login({.client_id = "sub"}).subscribe("#");
    peer& pub = bed["pub"];
    pub.send(connect_v5).expect(connack_v5);
    pub.send("33 07 00 01 'a' 00 01 00 'x'").expect("40 02 00 01");
    bed["sub"].take();
    pub.send("33 07 00 01 'b' 00 02 00 'x'").expect("40 03 00 02 97");
    pub.send("35 07 00 01 'b' 00 03 00 'x'").expect("50 03 00 03 97");
    bed["sub"].expect_nothing();
    EXPECT_TRUE(bed.session_of("c5")->received_qos2().empty());
    pub.send("33 07 00 01 'a' 00 04 00 'y'").expect("40 02 00 04");
}

TEST(quota_of_retained_bytes, counts_what_is_replaced_once) {
    broker_bed bed(with({.retained_bytes = 100}));
    peer& pub = bed["pub"].login({.client_id = "pub"});
    // The topic and the identifier of the publisher count as well.
    pub.send(publish(retained("a", std::string(56, 'x'))));
    pub.send(publish(retained("b", std::string(37, 'x'))));
    EXPECT_EQ(bed.core.routes().retained().bytes(), 60U);
    pub.send(publish(retained("a", std::string(96, 'y'))));
    EXPECT_EQ(bed.core.routes().retained().bytes(), 100U);
    pub.send(publish(retained("a", std::string(97, 'z'))));
    EXPECT_EQ(bed.core.routes().retained().find("a")->payload().front(), 'y');
}

TEST(quotas, of_0_are_none) {
    broker_bed bed(with({0, 0, 0, 0, 0}));
    peer& c = bed["c"].login({.client_id = "c"});
    const std::string deep(60'000, '/');
    c.send(subscribe(1, {{deep, 0}, {"a", 0}})).expect(suback(1, {0, 0}));
    c.send(publish(retained(deep, "x"))).expect(publish({.topic = deep, .payload = "x"}));
    EXPECT_EQ(bed.core.routes().retained().size(), 1U);
}

}  // namespace
}  // namespace amqtt::test
