// What the broker does when clients reach the quotas of what it keeps.
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "support/broker_bed.hpp"
#include "support/heap.hpp"

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
    broker_bed bed(with({.retained_bytes = 2000}));
    const retained_store& store = bed.core.routes().retained();
    peer& pub = bed["pub"].login({.client_id = "pub"});
    pub.send(publish(retained("a", std::string(600, 'x'))));
    pub.send(publish(retained("b", std::string(200, 'x'))));
    EXPECT_EQ(store.size(), 2U);
    // All that is kept counts: the message with the identifier of its publisher, and the tree.
    const std::size_t rest = store.bytes() - store.find("a")->footprint();
    EXPECT_GT(rest, 300U);
    const std::size_t largest = 2000 - rest - message::footprint_of(0) - 4;
    pub.send(publish(retained("a", std::string(largest, 'y'))));
    EXPECT_LE(store.bytes(), 2000U);
    EXPECT_GT(store.bytes(), 1950U);
    pub.send(publish(retained("a", std::string(largest + 32, 'z'))));
    EXPECT_EQ(store.find("a")->payload().front(), 'y');
}

TEST(quota_of_retained_bytes, counts_the_levels_of_topics) {
    broker_bed bed(with({.topic_levels = 200, .retained_bytes = 1024 * 1024}));
    peer& pub = bed["pub"].login({.client_id = "pub"});
    for (int i = 0; i < 1000; ++i) {
        std::string topic = std::to_string(i);
        for (int level = 1; level < 200; ++level)
            topic += "/a";
        pub.send(publish(retained(topic, "x")));
    }
    EXPECT_LE(bed.core.routes().retained().bytes(), 1024U * 1024U);
    EXPECT_LT(bed.core.routes().retained().size(), 100U);
}

TEST(quota_of_session_bytes, counts_identifiers_and_wills) {
    broker_bed bed(with({.session_bytes = 1024 * 1024}));
    const auto name = [](int i) { return std::to_string(i) + std::string(60'000, 'n'); };
    int sessions = 0;
    for (;; ++sessions) {
        ASSERT_LT(sessions, 100);
        peer& c = bed.reopen("c").send(connect({.client_id = name(sessions), .clean = false}));
        if (c.take() != connack(false)) break;
        c.send(disconnect());
    }
    EXPECT_GT(sessions, 12);
    EXPECT_LT(sessions, 18);
    EXPECT_LE(bed.core.sessions().bytes(), 1024U * 1024U);
    EXPECT_EQ(bed.hooks.logs_with("limits.max_session_bytes"), 1U);
    // Whoever has a session may have it back, but not with a large will.
    bed.reopen("c").login({.client_id = name(0), .clean = false}, true).send(disconnect());
    const connect_spec with_will{
        .client_id = name(0), .clean = false, .will = {{"t", std::string(60'000, 'w')}}};
    bed.reopen("c").send(connect(with_will)).expect("20 02 00 03").expect_closed();
    // What ends makes room.
    for (int i = 0; i < 2; ++i)
        bed.reopen("c").login({.client_id = name(i)}).send(disconnect());
    bed.reopen("c").login(with_will).abort();
    while (sessions > 0)
        bed.reopen("c").login({.client_id = name(--sessions)}, false).send(disconnect());
    EXPECT_EQ(bed.core.sessions().size(), 0U);
    EXPECT_LT(bed.core.sessions().bytes(), 1024U);
}

TEST(quota_of_session_bytes, counts_topic_aliases_and_identifiers_of_qos_2) {
    broker_bed bed(with({.session_bytes = 256 * 1024}));
    peer& c = bed["c"];
    c.send(connect_v5).expect(connack_v5);
    const std::size_t before = bed.core.sessions().bytes();
    for (unsigned alias = 1; alias <= 32 && c.is_open() && !c.closed_by_broker(); ++alias) {
        // PUBLISH QoS 0 with a topic of 20,000 bytes and a Topic Alias.
        bytes packet = wire("30 a6 9c 01 4e 20");
        packet.insert(packet.end(), 20'000, static_cast<std::uint8_t>('a' + alias % 20));
        const bytes rest = wire("03 23 00 01 ");
        packet.insert(packet.end(), rest.begin(), rest.end());
        packet.back() = static_cast<std::uint8_t>(alias);
        c.send(packet);
    }
    c.expect("e0 01 97").expect_closed();
    EXPECT_EQ(bed.hooks.logs_with("closed: its topic aliases"), 1U);
    peer& other = bed["other"];
    other.login({.client_id = "other"});
    for (unsigned id = 1; id <= 65'535 && !other.closed_by_broker(); ++id)
        other.send(publish({.topic = "t", .payload = "x", .level = 2, .packet_id = id}));
    EXPECT_TRUE(other.closed_by_broker());
    EXPECT_LT(bed.core.sessions().bytes(), before);
}

TEST(quota_of_subscription_bytes, is_one_for_a_session_and_one_for_all) {
    broker_bed bed(with({.subscription_bytes = 64 * 1024, .total_subscription_bytes = 150 * 1024}));
    const router& routes = bed.core.routes();
    const auto fill = [&](const std::string& name) {
        peer& c = bed[name].login({.client_id = name});
        unsigned granted = 0;
        for (unsigned i = 0; i < 100; ++i) {
            c.send(subscribe(1, {{name + std::to_string(i) + std::string(2'000, 'f'), 0}}));
            if (c.take() == suback(1, {0})) ++granted;
        }
        return granted;
    };
    // Twice each text: as a name, and in the tree.
    EXPECT_EQ(fill("a"), 15U);
    EXPECT_EQ(fill("b"), 15U);
    EXPECT_LT(fill("c"), 8U);
    EXPECT_LE(routes.subscription_bytes(), 150U * 1024U);
    EXPECT_EQ(bed.hooks.logs_with("subscriptions at their bound: refused one of client"), 3U);
    // What is there may be subscribed to again, and what is not may be refused again and again.
    bed["a"].send(subscribe(1, {{"a0" + std::string(2'000, 'f'), 1}})).expect(suback(1, {1}));
    const std::size_t before = routes.subscription_bytes();
    for (int i = 0; i < 10; ++i)
        bed["c"].send(subscribe(1, {{"c/" + std::string(4'000, 'g'), 0},
                                    {"x/+/" + std::string(4'000, 'g') + "/#", 0}}));
    EXPECT_EQ(routes.subscription_bytes(), before);
    for (const char* name : {"a", "b", "c"})
        bed[name].send(disconnect());
    EXPECT_EQ(routes.subscription_bytes(), 0U);
}

TEST(quota_of_subscription_bytes, counts_what_subscriptions_really_take) {
    const auto check = [](auto&& filter_of, int count) {
        broker_bed bed(with({0, 0, 0, 0, 0, 0, 0, 0, 0}));
        session* s = bed.core.create_session("s");
        const auto before = heap_in_use();
        for (int i = 0; i < count; ++i)
            bed.core.add_subscription(*s, filter_of(i), qos::at_most_once);
        const std::size_t counted = bed.core.routes().subscription_bytes();
        EXPECT_NEAR(real_per_counted(before, counted), 1.0, 0.15) << filter_of(0);
        EXPECT_NEAR(static_cast<double>(s->subscription_charge) / static_cast<double>(counted), 1.0,
                    0.2);
    };
    check([](int i) { return "a/" + std::to_string(i); }, 10'000);
    check([](int i) { return std::to_string(i) + "/+/b/#"; }, 10'000);
    check(
        [](int i) {
            std::string filter = std::to_string(i);
            for (int level = 1; level < 200; ++level)
                filter += "/+";
            return filter;
        },
        200);
    check([](int i) { return std::to_string(i) + std::string(60'000, 'f'); }, 50);
    check([](int i) { return "$share/g" + std::to_string(i) + "/t/" + std::to_string(i); }, 5'000);
}

// -- bytes of what is queued

TEST(quota_of_total_queued_bytes, bounds_what_many_small_messages_take) {
    broker_settings settings = with({.total_queued_bytes = 1024 * 1024});
    settings.queue.messages = 1'000'000;
    broker_bed bed(settings);
    for (int i = 0; i < 50; ++i) {
        const std::string name = "s" + std::to_string(i);
        bed[name].login({.client_id = name, .clean = false}).subscribe("t", 1).send(disconnect());
    }
    bed.publish("other", "x");  // which makes the router remember topics
    const auto before = heap_in_use();
    for (int i = 0; i < 2'000; ++i)
        bed.publish("t", "x", qos::at_least_once);
    EXPECT_LE(bed.core.queued_bytes(), 1024U * 1024U + 50U * 1024U);
    EXPECT_GT(bed.core.queued_bytes(), 500U * 1024U);
    EXPECT_NEAR(real_per_counted(before, bed.core.queued_bytes()), 1.0, 0.3);
    EXPECT_GT(bed.core.stats().publish_dropped, 50'000U);
    for (int i = 0; i < 50; ++i)
        bed.reopen("s" + std::to_string(i)).login({.client_id = "s" + std::to_string(i)});
    EXPECT_EQ(bed.core.queued_bytes(), 0U);
}

TEST(quota_of_total_queued_bytes, counts_what_is_in_flight) {
    broker_bed bed(with({.total_queued_bytes = 1024 * 1024}));
    for (int i = 0; i < 10; ++i) {
        const std::string name = "s" + std::to_string(i);
        bed[name].login({.client_id = name}).subscribe(name, 1);
    }
    for (int n = 0; n < 30; ++n) {
        for (int i = 0; i < 10; ++i)
            bed.publish("s" + std::to_string(i), std::string(10'000, 'x'), qos::at_least_once);
    }
    EXPECT_LE(bed.core.queued_bytes(), 1024U * 1024U);
    EXPECT_GT(bed.core.stats().publish_dropped, 150U);
    // Those who have nothing still get something.
    bed["other"].login({.client_id = "other"}).subscribe("o", 1);
    bed.publish("o", "x", qos::at_least_once);
    bed["other"].expect(publish({.topic = "o", .payload = "x", .level = 1, .packet_id = 1}));
}

TEST(quotas, of_0_are_none) {
    broker_bed bed(with({0, 0, 0, 0, 0, 0, 0, 0, 0}));
    peer& c = bed["c"].login({.client_id = "c"});
    const std::string deep(60'000, '/');
    c.send(subscribe(1, {{deep, 0}, {"a", 0}})).expect(suback(1, {0, 0}));
    c.send(publish(retained(deep, "x"))).expect(publish({.topic = deep, .payload = "x"}));
    EXPECT_EQ(bed.core.routes().retained().size(), 1U);
}

}  // namespace
}  // namespace amqtt::test
