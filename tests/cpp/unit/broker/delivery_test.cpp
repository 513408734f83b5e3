// Windows, queues and bounds between a publisher and a subscriber.
#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

bytes numbered(unsigned n, unsigned level = 0, unsigned packet_id = 0, std::size_t size = 0) {
    std::string payload = std::to_string(n) + ";";
    payload.resize(std::max(size, payload.size()), '.');
    return publish({.topic = "t", .payload = payload, .level = level, .packet_id = packet_id});
}

// A broker with a publisher logged in.
struct delivery_bed : broker_bed {
    explicit delivery_bed(const broker_settings& settings = {}) : broker_bed(settings) {
        (*this)["pub"].login({.client_id = "pub"});
    }
    void publish_numbers(unsigned from, unsigned to, unsigned level, std::size_t size = 0) {
        for (unsigned n = from; n <= to; ++n) {
            (*this)["pub"].send(numbered(n, level, n, size));
            if (level == 2) (*this)["pub"].send(pubrel(n));
        }
        (*this)["pub"].take();  // acknowledgements
    }
};

broker_settings window_of(std::size_t messages) {
    broker_settings settings;
    settings.max_inflight_messages = messages;
    return settings;
}

broker_settings queue_of(std::size_t messages, std::size_t size) {
    broker_settings settings;
    settings.queue = {messages, size};
    return settings;
}

TEST(inflight_limit, holds_back_qos_1_until_puback) {
    delivery_bed bed(window_of(3));
    peer& sub = bed["sub"].login({.client_id = "sub"}).subscribe("t", 1);
    bed.publish_numbers(1, 6, 1);
    sub.expect(numbered(1, 1, 1) + numbered(2, 1, 2) + numbered(3, 1, 3)).expect_nothing();
    EXPECT_EQ(bed.queued("sub"), 3U);
    sub.send(puback(2)).expect(numbered(4, 1, 4)).expect_nothing();
    sub.send(puback(2)).expect_nothing();  // no second time
    sub.send(puback(1) + puback(3)).expect(numbered(5, 1, 5) + numbered(6, 1, 6)).expect_nothing();
    EXPECT_EQ(bed.queued("sub"), 0U);
}

TEST(inflight_limit, counts_qos_2_until_pubcomp) {
    delivery_bed bed(window_of(1));
    peer& sub = bed["sub"].login({.client_id = "sub"}).subscribe("t", 2);
    bed.publish_numbers(1, 2, 2);
    sub.expect(numbered(1, 2, 1)).expect_nothing();
    sub.send(pubrec(1)).expect(pubrel(1)).expect_nothing();
    sub.send(pubcomp(1)).expect(numbered(2, 2, 2)).expect_nothing();
}

TEST(inflight_limit, keeps_the_order_of_qos_0_behind_qos_1) {
    delivery_bed bed(window_of(1));
    peer& sub = bed["sub"].login({.client_id = "sub"}).subscribe("t", 1);
    bed["pub"].send(numbered(1, 1, 1) + numbered(2, 1, 2) + numbered(3));
    sub.expect(numbered(1, 1, 1)).expect_nothing();
    sub.send(puback(1)).expect(numbered(2, 1, 2) + numbered(3)).expect_nothing();
}

TEST(inflight_limit, does_not_hold_back_qos_0_alone) {
    delivery_bed bed(window_of(1));
    peer& sub = bed["sub"].login({.client_id = "sub"}).subscribe("t", 1);
    bed["pub"].send(numbered(1, 1, 1) + numbered(2) + numbered(3));
    sub.expect(numbered(1, 1, 1) + numbered(2) + numbered(3)).expect_nothing();
}

// 3.1.1:MQTT-4.4.0-1@server 3.1.1:MQTT-4.6.0-6@server
TEST(inflight_limit, resumes_in_order_with_a_full_window) {
    delivery_bed bed(window_of(2));
    const connect_spec who{.client_id = "sub", .clean = false};
    bed["one"].login(who).subscribe("t", 2);
    bed.publish_numbers(1, 2, 2);
    bed["one"].expect(numbered(1, 2, 1) + numbered(2, 2, 2)).send(pubrec(1)).expect(pubrel(1));
    bed["one"].abort();
    bed.publish_numbers(3, 4, 2);
    peer& two = bed["two"].login(who, true);
    two.expect(pubrel(1));
    two.expect(publish({.topic = "t", .payload = "2;", .level = 2, .packet_id = 2, .dup = true}));
    two.expect_nothing();
    bed.publish_numbers(5, 5, 0);
    two.send(pubcomp(1)).expect(numbered(3, 2, 3)).expect_nothing();
    two.send(pubrec(2) + pubcomp(2)).expect(pubrel(2) + numbered(4, 2, 4) + numbered(5));
    two.expect_nothing();
}

TEST(queue_limits, drop_the_newest_messages) {
    delivery_bed bed(queue_of(3, 1'000'000));
    const connect_spec who{.client_id = "sub", .clean = false};
    bed["one"].login(who).subscribe("t", 1);
    bed["one"].send(disconnect());
    bed.publish_numbers(1, 10, 1);
    EXPECT_EQ(bed.core.stats().publish_dropped, 7U);
    bed["two"].login(who, true);
    bed["two"].expect(numbered(1, 1, 1) + numbered(2, 1, 2) + numbered(3, 1, 3)).expect_nothing();
}

TEST(queue_limits, count_bytes) {
    // With its topic, its header and its place a message of 299 bytes takes that.
    constexpr std::size_t cost = message_queue::cost_of(300);
    static_assert(cost > 400);
    delivery_bed bed(queue_of(1000, 3 * cost + cost / 2));
    bed["one"].login({.client_id = "sub", .clean = false}).subscribe("t", 1);
    bed["one"].send(disconnect());
    bed.publish_numbers(1, 10, 1, 299);
    EXPECT_EQ(bed.queued("sub"), 3U);
    EXPECT_EQ(bed.session_of("sub")->queue().bytes(), 3 * cost);
    EXPECT_EQ(bed.core.stats().publish_dropped, 7U);
}

TEST(queue_limits, let_one_message_of_any_size_pass) {
    delivery_bed bed(queue_of(1000, 10));
    bed["one"].login({.client_id = "sub", .clean = false}).subscribe("t", 1);
    bed["one"].send(disconnect());
    bed.publish_numbers(1, 2, 1, 5000);
    EXPECT_EQ(bed.queued("sub"), 1U);
    EXPECT_EQ(bed.core.stats().publish_dropped, 1U);
}

TEST(queue_limits, log_drops_at_a_bounded_rate) {
    delivery_bed bed(queue_of(1, 1000));
    bed["one"].login({.client_id = "sub", .clean = false}).subscribe("t", 1);
    bed["one"].send(disconnect());
    bed.publish_numbers(1, 11, 1);
    EXPECT_EQ(bed.hooks.logs_with("queue full: dropped a message for client 'sub'"), 1U);
    bed.advance(9s);
    bed.publish_numbers(12, 12, 1);
    EXPECT_EQ(bed.hooks.logs_with("queue full"), 1U);
    bed.advance(2s);
    EXPECT_EQ(bed.hooks.logs_with("queue full"), 2U);
    EXPECT_EQ(bed.hooks.logs_with("(and 10 more in the last 10 s)"), 1U);
    bed.publish_numbers(13, 14, 1);
    EXPECT_EQ(bed.hooks.logs_with("queue full"), 3U);
    EXPECT_EQ(bed.core.stats().publish_dropped, 13U);
}

TEST(queue_limits, do_not_apply_to_retained_messages) {
    broker_settings settings = queue_of(3, 100);
    settings.max_inflight_messages = 2;
    settings.output_high_water = 300;
    delivery_bed bed(settings);
    for (unsigned i = 0; i < 40; ++i)
        bed.publish("r/" + std::to_string(i), std::string(50, 'x'), qos::at_least_once, true);
    peer& sub = bed["sub"].login({.client_id = "sub"}).subscribe("r/#", 1);
    std::size_t received = 0;
    for (bytes data = sub.take(); !data.empty(); data = sub.take()) {
        for (const bytes& one : split_packets(data)) {
            EXPECT_EQ(one[0], 0x33);  // QoS 1, RETAIN
            ++received;
        }
        for (unsigned id = 1; id <= 40; ++id)
            sub.send(puback(id));
    }
    EXPECT_EQ(received, 40U);
    EXPECT_EQ(bed.core.stats().publish_dropped, 0U);
}

TEST(output_limit, makes_a_slow_reader_wait_alone) {
    broker_settings settings;
    settings.output_high_water = 10'000;
    delivery_bed bed(settings);
    peer& slow = bed["slow"].login({.client_id = "slow"}).subscribe("t");
    peer& fast = bed["fast"].login({.client_id = "fast"}).subscribe("t");
    slow.stop_reading();
    bed.publish_numbers(1, 100, 0, 1000);
    EXPECT_LE(slow.unread_output(), 11'100U);
    EXPECT_GE(slow.unread_output(), 9'000U);
    EXPECT_EQ(slow.unread_output() / 1005 + bed.queued("slow"), 100U);
    bytes all;
    for (unsigned n = 1; n <= 100; ++n)
        all = all + numbered(n, 0, 0, 1000);
    fast.expect(all).expect_nothing();
    slow.expect_nothing();
    slow.read_some(2500);
    bed.publish_numbers(101, 101, 0, 1000);
    slow.read_on();
    slow.expect(all + numbered(101, 0, 0, 1000)).expect_nothing();
    EXPECT_EQ(bed.core.stats().publish_dropped, 0U);
    EXPECT_EQ(bed.queued("slow"), 0U);
}

TEST(output_limit, drops_for_a_reader_that_stays_away) {
    broker_settings settings = queue_of(10, 1'000'000);
    settings.output_high_water = 2'000;
    delivery_bed bed(settings);
    peer& slow = bed["slow"].login({.client_id = "slow"}).subscribe("t", 1);
    slow.stop_reading();
    bed.publish_numbers(1, 50, 1, 1000);
    EXPECT_EQ(bed.core.stats().publish_dropped, 0U);
    bed.advance(std::chrono::milliseconds(350));  // in which its publisher waits for it
    EXPECT_EQ(bed.queued("slow"), 10U);
    EXPECT_EQ(bed.core.stats().publish_dropped, 38U);
    slow.read_on();
    EXPECT_EQ(slow.take_packets().size(), 12U);
    slow.stop_reading();
    slow.abort();
    EXPECT_EQ(bed.session_of("slow"), nullptr);
}

TEST(output_limit, does_not_hold_back_answers) {
    broker_settings settings;
    settings.output_high_water = 50;
    delivery_bed bed(settings);
    peer& c = bed["c"].login({.client_id = "c"}).subscribe("t", 1);
    c.stop_reading();
    c.send(numbered(1, 1, 7, 100) + numbered(2, 1, 8) + pingreq() + unsubscribe(9, {"t"}));
    c.read_on();
    c.expect(numbered(1, 1, 1, 100) + puback(7) + puback(8) + pingresp() + unsuback(9));
    c.expect(numbered(2, 1, 2)).expect_nothing();
}

TEST(offline_queue, takes_what_was_granted_qos_1_or_2) {
    delivery_bed bed;
    const connect_spec who{.client_id = "sub", .clean = false};
    bed["one"].login(who).subscribe("t", 1).subscribe("zero", 0).send(disconnect());
    bed.publish_numbers(1, 1, 0);
    bed.publish_numbers(2, 2, 2);
    bed["pub"].send(publish({.topic = "zero", .level = 1, .packet_id = 9}));
    bed["two"].login(who, true);
    bed["two"].expect(numbered(1) + numbered(2, 1, 1)).expect_nothing();
}

// 3.1.1:MQTT-3.8.4-6@server
TEST(granted_qos, is_bounded_by_the_settings) {
    broker_settings settings;
    settings.max_qos = qos::at_least_once;
    delivery_bed bed(settings);
    peer& sub = bed["sub"].login({.client_id = "sub"});
    sub.send(subscribe(1, {{"t", 2}, {"u", 0}})).expect(suback(1, {1, 0}));
    bed.publish_numbers(1, 1, 2);
    sub.expect(numbered(1, 1, 1)).expect_nothing();
    bed.publish("t", "retained", qos::exactly_once, true);
    sub.take();
    bed["late"].login({.client_id = "late"}).send(subscribe(1, {{"t", 2}}));
    bed["late"].expect(suback(1, {1}));
    bed["late"].expect(
        publish({.topic = "t", .payload = "retained", .level = 1, .packet_id = 1, .retain = true}));
}

TEST(server_publish, goes_out_at_the_granted_qos_when_it_names_none) {
    broker_bed bed;
    bed["zero"].login({.client_id = "zero"}).subscribe("t", 0);
    bed["two"].login({.client_id = "two"}).subscribe("t", 2);
    bed.publish("t", "p");
    bed["zero"].expect(publish({.topic = "t", .payload = "p"})).expect_nothing();
    bed["two"].expect(publish({.topic = "t", .payload = "p", .level = 2, .packet_id = 1}));
    bed.publish("t", "p", qos::at_least_once);
    bed["zero"].expect(publish({.topic = "t", .payload = "p"})).expect_nothing();
    bed["two"].expect(publish({.topic = "t", .payload = "p", .level = 1, .packet_id = 2}));
}

TEST(large_payloads, are_shared_and_arrive_whole) {
    broker_bed bed;
    bed["a"].login({.client_id = "a"}).subscribe("t", 0);
    bed["b"].login({.client_id = "b"}).subscribe("t", 1);
    const std::string payload(300'000, 'p');
    bed["pub"].login({.client_id = "pub"});
    bed["pub"].send_split(publish({.topic = "t", .payload = payload, .level = 1, .packet_id = 1}),
                          50'000);
    bed["pub"].expect(puback(1));
    bed["a"].expect(publish({.topic = "t", .payload = payload})).expect_nothing();
    bed["b"].expect(publish({.topic = "t", .payload = payload, .level = 1, .packet_id = 1}));
}

TEST(packet_limit, closes_the_connection) {
    broker_settings settings;
    settings.limits.max_packet_size = 100;
    broker_bed bed(settings);
    bed["c"].login({.client_id = "c"});
    bed["c"].send(publish({.topic = "t", .payload = std::string(95, 'x')})).expect_open();
    bed["c"].send(wire("30 63")).expect_closed();
    bed.expect_consistent();
}

// -- what clients may not publish

// 5.0:MQTT-4.3.3-4@server
TEST(server_topics, are_refused_and_counted) {
    delivery_bed bed;
    bed["pub"].send(publish({.topic = "$SYS/x", .payload = "y"}));
    bed["pub"].send(publish({.topic = "$other", .payload = "y", .level = 1, .packet_id = 1}));
    bed["pub"].expect(puback(1));  // MQTT 3 cannot be told
    bed["v5"].send("10 0f 00 04 'MQTT' 05 02 00 00 00 00 02 'v5'").take();
    bed["v5"].send("32 0b 00 05 '$SYS/' 00 01 00 'x'").expect("40 03 00 01 87");
    bed["v5"].send("34 0b 00 05 '$SYS/' 00 02 00 'x'").expect("50 03 00 02 87");
    EXPECT_EQ(bed.session_of("v5")->received_qos2().size(), 0U);
    EXPECT_EQ(bed.core.stats().publish_refused, 4U);
    EXPECT_EQ(bed.hooks.logs_with("topics that start with '$'"), 2U);  // one for each client
}

TEST(server_topics, are_not_for_wills) {
    delivery_bed bed;
    bed["c"].login({.client_id = "c", .will = {{.topic = "$SYS/w", .payload = "x"}}}).abort();
    EXPECT_EQ(bed.core.stats().publish_refused, 1U);
    EXPECT_EQ(bed.hooks.logs_with("topics that start with '$'"), 1U);
}

TEST(payload_format, that_is_wrong_at_qos_0_is_counted) {
    delivery_bed bed({.check_payload_format = true});
    bed["v5"].send("10 0f 00 04 'MQTT' 05 02 00 00 00 00 02 'v5'").take();
    bed["v5"].send("30 07 00 01 't' 02 01 01 ff").expect_nothing();
    EXPECT_EQ(bed.core.stats().publish_refused, 1U);
    EXPECT_EQ(bed.hooks.logs_with("not UTF-8"), 1U);
}

}  // namespace
}  // namespace amqtt::test
