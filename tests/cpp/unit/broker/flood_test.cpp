// Peers that send without end and do not read: what the broker holds for them is bounded.
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

// What the broker may hold for a peer: the mark, and the answers to what one call brought.
constexpr std::size_t mark = 1000;
constexpr std::size_t packets_a_call = 100;
constexpr std::size_t largest_answer = 5;

broker_settings low_mark() {
    broker_settings settings;
    settings.output_high_water = mark;
    return settings;
}

bytes repeated(const bytes& packet) {
    bytes all;
    for (std::size_t i = 0; i < packets_a_call; ++i)
        all = all + packet;
    return all;
}

class flood : public testing::TestWithParam<bytes> {};

TEST_P(flood, of_packets_whose_answers_are_not_read) {
    broker_bed bed(low_mark());
    peer& c = bed["c"].login({.client_id = "c"});
    c.stop_reading();
    const bytes packets = repeated(GetParam());
    for (int i = 0; i < 100; ++i)
        c.send(packets);
    EXPECT_GE(c.unread_output(), mark);
    EXPECT_LE(c.unread_output(), mark + packets_a_call * largest_answer);
    c.expect_open();
    // Nothing is lost of it: each packet is answered as soon as the peer reads.
    c.read_on();
    EXPECT_EQ(c.take_packets().size(), 100 * packets_a_call);
    c.send(pingreq()).expect(pingresp());
}

INSTANTIATE_TEST_SUITE_P(packets, flood,
                         testing::Values(pingreq(), pubrel(1), pubrec(1),
                                         publish({.topic = "t", .level = 1, .packet_id = 1}),
                                         publish({.topic = "t", .level = 2, .packet_id = 1}),
                                         subscribe(1, {{"t", 0}}), unsubscribe(1, {"t"})));

// Deliveries are not answers: a subscriber that reads slowly can acknowledge all the same.
TEST(flood_of_deliveries, does_not_hold_up_acknowledgements) {
    broker_bed bed(low_mark());
    bed["pub"].login({.client_id = "pub"});
    peer& sub = bed["sub"].login({.client_id = "sub"}).subscribe("t", 1);
    sub.stop_reading();
    for (unsigned id = 1; id <= 100; ++id) {
        bed["pub"].send(
            publish({.topic = "t", .payload = std::string(100, 'x'), .level = 1, .packet_id = id}));
    }
    const std::size_t in_flight = bed.session_of("sub")->inflight().size();
    ASSERT_GT(bed.queued("sub"), 0U);
    sub.send(puback(1));
    EXPECT_EQ(bed.session_of("sub")->inflight().size(), in_flight - 1);
}

TEST(flood_of_reconnects, sends_again_only_what_the_output_has_room_for) {
    broker_bed bed(low_mark());
    bed["pub"].login({.client_id = "pub"});
    bed["sub"].login({.client_id = "sub", .clean = false}).subscribe("t", 1);
    for (unsigned id = 1; id <= 50; ++id) {
        bed["pub"].send(
            publish({.topic = "t", .payload = std::string(100, 'x'), .level = 1, .packet_id = id}));
    }
    ASSERT_EQ(bed["sub"].take_packets().size(), 50U);
    peer& again = bed.reopen("sub");
    again.stop_reading().send(connect({.client_id = "sub", .clean = false}));
    EXPECT_LE(again.unread_output(), mark + 200);
    again.read_on().expect(connack(true));
    std::vector<bytes> sent = again.take_packets();
    ASSERT_EQ(sent.size(), 50U);
    for (unsigned id = 1; id <= 50; ++id) {
        EXPECT_EQ(sent[id - 1], publish({.topic = "t",
                                         .payload = std::string(100, 'x'),
                                         .level = 1,
                                         .packet_id = id,
                                         .dup = true}));
    }
}

// A subscriber that asks for all retained messages again and again without taking them.
TEST(flood_of_subscribes, queues_the_retained_messages_a_bounded_number_of_times) {
    broker_settings settings = low_mark();
    settings.queue.messages = 50;
    broker_bed bed(settings);
    peer& pub = bed["pub"].login({.client_id = "pub"});
    for (int i = 0; i < 20; ++i) {
        pub.send(publish(
            {.topic = "t/" + std::to_string(i), .payload = std::string(100, 'x'), .retain = true}));
    }
    peer& sub = bed["sub"].login({.client_id = "sub"});
    sub.stop_reading();
    for (int i = 0; i < 100; ++i)
        sub.send(subscribe(1, {{"t/#", 0}, {"#", 0}}));
    EXPECT_LT(bed.queued("sub"), 50U + 20U);
    // Each of the two is served once more after the last SUBSCRIBE, when there is room again.
    sub.read_on();
    EXPECT_EQ(bed.queued("sub"), 0U);
    std::vector<bytes> got = sub.take_packets();
    const auto last = std::find(got.rbegin(), got.rend(), suback(1, {0, 0}));
    EXPECT_GE(std::distance(got.rbegin(), last), 2 * 20);
    sub.send(unsubscribe(2, {"#", "t/#"})).expect(unsuback(2)).expect_nothing();
}

// All retained messages for one, who gets them as fast as it takes them while others go on.
TEST(flood_of_retained_messages, is_sent_in_parts) {
    broker_bed bed;
    constexpr std::size_t count = 30'000;
    for (std::size_t i = 0; i < count; ++i)
        bed.publish("r/" + std::to_string(i), std::string(100, 'x'), qos::at_least_once, true);
    peer& sub = bed["sub"].login({.client_id = "sub"});
    sub.stop_reading();
    sub.send(subscribe(1, {{"r/#", 0}}));
    EXPECT_LT(bed.queued("sub"), 1'500U);
    EXPECT_LT(sub.unread_output(), 300'000U);
    sub.read_on();
    bed.advance(std::chrono::seconds(1));
    EXPECT_EQ(sub.take_packets().size(), count + 1);
    EXPECT_EQ(bed.queued("sub"), 0U);
}

// No output tells here that it is time to go on.
TEST(flood_of_retained_messages, of_which_few_match_is_searched_in_parts) {
    broker_bed bed;
    for (int i = 0; i < 30'000; ++i)
        bed.publish("r/" + std::to_string(i) + "/x", "x", qos::at_least_once, true);
    bed.publish("r/0/y", "y", qos::at_least_once, true);
    peer& sub = bed["sub"].login({.client_id = "sub"});
    bed.works = false;
    sub.send(subscribe(1, {{"r/+/y", 0}})).expect(suback(1, {0}));
    EXPECT_TRUE(bed.hooks.has_work_left);
    bed.works = true;
    bed.advance(std::chrono::seconds(1));
    sub.expect(publish({.topic = "r/0/y", .payload = "y", .retain = true}));
}

TEST(flood_of_retained_messages, ends_with_its_subscription_or_its_client) {
    broker_bed bed;
    for (int i = 0; i < 30'000; ++i)
        bed.publish("r/" + std::to_string(i) + "/x", "x", qos::at_least_once, true);
    peer& sub = bed["sub"].login({.client_id = "sub"});
    sub.send(subscribe(1, {{"r/+/y", 0}}) + unsubscribe(2, {"r/+/y"}));
    bed["other"].login({.client_id = "other"}).send(subscribe(1, {{"r/+/y", 0}}));
    bed["other"].abort();
    bed.publish("r/0/y", "y", qos::at_least_once, true);
    bed.advance(std::chrono::seconds(1));
    sub.expect(suback(1, {0})).expect(unsuback(2)).expect_nothing();
    EXPECT_EQ(bed.session_of("other"), nullptr);
    EXPECT_EQ(bed.core.routes().retained().size(), 30'001U);
}

// Unsubscribing, and leaving, while retained messages are due.
TEST(flood_of_subscribes, forgets_what_is_not_wanted_any_more) {
    broker_settings settings = low_mark();
    settings.queue.messages = 5;
    broker_bed bed(settings);
    peer& pub = bed["pub"].login({.client_id = "pub"});
    for (int i = 0; i < 20; ++i) {
        pub.send(publish(
            {.topic = std::to_string(i), .payload = std::string(100, 'x'), .retain = true}));
    }
    peer& sub = bed["sub"].login({.client_id = "sub", .clean = false});
    sub.stop_reading();
    sub.send(subscribe(1, {{"#", 0}}) + subscribe(2, {{"+", 0}}) + unsubscribe(3, {"+"}));
    sub.read_on();
    EXPECT_EQ(sub.take_packets().size(), 20U + 3U);
    sub.stop_reading();
    sub.send(subscribe(1, {{"#", 0}}) + subscribe(2, {{"+", 0}}));
    ASSERT_FALSE(bed.session_of("sub")->wants_retained.empty());
    peer& again = bed.reopen("sub").login({.client_id = "sub", .clean = false}, true);
    EXPECT_TRUE(bed.session_of("sub")->wants_retained.empty());
    EXPECT_GE(again.take_packets().size(), 20U);
}

// Topics that are set and cleared while retained messages are still due: for a client that does not
// read, or one that is away.
TEST(flood_of_retained_messages, leaves_nothing_while_others_are_due) {
    broker_settings settings;
    settings.output_high_water = 2000;
    settings.queue.messages = 5;
    broker_bed bed(settings);
    for (int i = 0; i < 500; ++i)
        bed.publish("r/" + std::to_string(i), std::string(1000, 'x'), qos::at_least_once, true);
    // The table of topics that there is with two of them stays when one is cleared.
    bed.publish("same", "x", qos::at_least_once, true);
    bed.publish("same", "", qos::at_least_once, true);
    const retained_store& store = bed.core.routes().retained();
    const std::size_t before = store.bytes();
    const connect_spec who{.client_id = "sub", .clean = false};
    peer& sub = bed["sub"].login(who).stop_reading();
    sub.send(subscribe(1, {{"#", 0}}));
    ASSERT_FALSE(bed.session_of("sub")->wants_retained.empty());
    const auto set_and_clear = [&] {
        for (int i = 0; i < 1000; ++i) {
            for (const std::string& topic : {std::to_string(i), std::string("same")}) {
                bed.publish(topic, "x", qos::at_least_once, true);
                bed.publish(topic, "", qos::at_least_once, true);
            }
        }
    };
    set_and_clear();
    EXPECT_EQ(store.bytes(), before);
    sub.abort();
    ASSERT_FALSE(bed.session_of("sub")->wants_retained.empty());
    set_and_clear();
    EXPECT_EQ(store.bytes(), before);
    bed.reopen("sub").login(who, true);
    EXPECT_TRUE(bed.session_of("sub")->wants_retained.empty());
}

// A subscriber that takes large messages and never acknowledges one.
TEST(flood_of_messages_in_flight, is_bounded_in_bytes) {
    broker_settings settings;
    settings.queue.bytes = 10'000;
    broker_bed bed(settings);
    bed["pub"].login({.client_id = "pub"});
    peer& sub = bed["sub"].login({.client_id = "sub"}).subscribe("t", 2);
    const auto publish_one = [&](unsigned id) {
        bed["pub"].send(publish({.topic = "t",
                                 .payload = std::string(3'999, 'x'),
                                 .level = 1 + id % 2,
                                 .packet_id = id}));
        if (id % 2 == 1) bed["pub"].send(pubrel(id));
    };
    for (unsigned id = 1; id <= 20; ++id)
        publish_one(id);
    bed.advance(std::chrono::milliseconds(350));  // in which the publisher waits for it
    EXPECT_EQ(sub.take_packets().size(), 3U);
    EXPECT_EQ(bed.session_of("sub")->inflight().bytes(), 3 * message::footprint_of(4'000));
    EXPECT_EQ(bed.queued("sub"), 2U);
    sub.send(pubrec(1)).expect(pubrel(1));  // whose content is not needed any more
    sub.send(puback(2));
    EXPECT_EQ(sub.take_packets().size(), 2U);
    EXPECT_EQ(bed.queued("sub"), 0U);
    EXPECT_EQ(bed.session_of("sub")->inflight().bytes(), 3 * message::footprint_of(4'000));
}

// Each of many clients that do not read is below its own mark.
TEST(flood_of_output, is_bounded_for_all_connections_together) {
    broker_settings settings;
    settings.output_high_water = 64 * 1024;
    settings.output_bytes = 256 * 1024;
    broker_bed bed(settings);
    constexpr std::size_t count = 20;
    std::size_t output = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string name = std::to_string(i);
        bed[name].login({.client_id = name}).subscribe(name).stop_reading();
    }
    for (std::size_t i = 0; i < count; ++i) {
        const std::string name = std::to_string(i);
        for (int n = 0; n < 100; ++n)
            bed.publish(name, std::string(n % 2 == 0 ? 1000 : 5000, 'x'));
        output += bed[name].unread_output();
        EXPECT_GT(bed[name].unread_output(), 4'000U);
    }
    EXPECT_LT(output, 256U * 1024U + count * (4U * 1024U + 6'000U));
    for (std::size_t i = 0; i < count; ++i) {
        bed[std::to_string(i)].read_on();
        EXPECT_EQ(bed[std::to_string(i)].take_packets().size(), 100U);
    }
    EXPECT_EQ(bed.core.output_blocks().in_use(), 0U);
}

// Subscribers times topics would be more than the cache of routes may hold.
TEST(flood_of_topics, leaves_a_bounded_cache_and_right_routes) {
    broker_bed bed;
    constexpr int subscribers = 100;
    for (int i = 0; i < subscribers; ++i) {
        const std::string name = "s" + std::to_string(i);
        bed[name].login({.client_id = name}).subscribe("#");
    }
    peer& pub = bed["pub"].login({.client_id = "pub"});
    for (int i = 0; i < 10'000; ++i)
        pub.send(publish({.topic = std::to_string(i % 6'000), .payload = "x"}));
    EXPECT_EQ(bed["s0"].take_packets().size(), 10'000U);
    EXPECT_EQ(bed["s99"].take_packets().size(), 10'000U);
    EXPECT_LE(bed.core.routes().cache().bytes(), route_cache::most_bytes);
    EXPECT_GE(bed.core.routes().cache().size(), 3'500U);
}

// To fill the cache with them would cost more than to look for their routes.
TEST(flood_of_topics, are_cached_when_they_come_again) {
    broker_bed bed;
    bed["sub"].login({.client_id = "sub"}).subscribe("#");
    peer& pub = bed["pub"].login({.client_id = "pub"});
    for (int i = 0; i < 1000; ++i)
        pub.send(publish({.topic = std::to_string(i), .payload = "x"}));
    EXPECT_EQ(bed["sub"].take_packets().size(), 1000U);
    // Some bits of the hash tell whether one came lately, so one in 65,536 is taken for another.
    const std::size_t mistaken = bed.core.routes().cache().size();
    EXPECT_LE(mistaken, 3U);
    for (int i = 0; i < 3; ++i)
        pub.send(publish({.topic = "hot", .payload = "x"}));
    EXPECT_EQ(bed["sub"].take_packets().size(), 3U);
    EXPECT_EQ(bed.core.routes().cache().size(), mistaken + 1);
}

TEST(flood_of_matching_subscriptions, gives_every_identifier_once) {
    broker_bed bed;
    peer& c = bed["c"];
    c.send(wire("10 0f 00 04 'MQTT' 05 02 00 3c 00 00 02 'c5'")).take();
    // 2^10 filters match the same topic, each with an identifier of its own.
    for (unsigned bits = 0; bits < 1024; ++bits) {
        std::string filter;
        for (unsigned level = 0; level < 10; ++level) {
            filter += (bits >> level & 1U) != 0 ? "+" : "a";
            if (level < 9) filter += '/';
        }
        bytes body = wire("00 01 03 0b 80 01 00 13") + bytes(filter.begin(), filter.end());
        body[4] = static_cast<std::uint8_t>((bits & 0x7FU) | 0x80U);
        body[5] = static_cast<std::uint8_t>(1 + (bits >> 7U));
        body.push_back(0);
        c.send(bytes{0x82, static_cast<std::uint8_t>(body.size())} + body);
    }
    c.take();
    bed.publish("a/a/a/a/a/a/a/a/a/a", "x");
    const std::vector<bytes> got = c.take_packets();
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].size(), 1 + 2 + 2 + 19 + 2 + 1024 * 3 + 1);
}

}  // namespace
}  // namespace amqtt::test
