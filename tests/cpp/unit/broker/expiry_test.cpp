// Messages whose time is over: they are neither delivered nor do they take the place of others.
#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "support/broker_bed.hpp"
#include "support/durable_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

const bytes connect_p = wire("10 0e 00 04 'MQTT' 05 02 00 00 00 00 01 'p'");

// PUBLISH of MQTT 5.0 with QoS 1 and a Message Expiry Interval; 0: without one.
bytes expiring(const std::string& topic, unsigned id, unsigned seconds, bool retain = false) {
    bytes packet{static_cast<std::uint8_t>(retain ? 0x33 : 0x32), 0, 0,
                 static_cast<std::uint8_t>(topic.size())};
    packet.insert(packet.end(), topic.begin(), topic.end());
    packet.push_back(static_cast<std::uint8_t>(id >> 8));
    packet.push_back(static_cast<std::uint8_t>(id));
    const bytes props = seconds == 0 ? wire("00") : wire("05 02 00 00 00 00");
    packet.insert(packet.end(), props.begin(), props.end());
    if (seconds != 0) packet.back() = static_cast<std::uint8_t>(seconds);
    packet.push_back('x');
    packet[1] = static_cast<std::uint8_t>(packet.size() - 2);
    return packet;
}

broker_settings queue_of(std::size_t messages) {
    broker_settings settings;
    settings.queue.messages = messages;
    return settings;
}

TEST(expired_messages, do_not_push_fresh_ones_out_of_a_queue) {
    broker_bed bed(queue_of(5));
    bed["s"].login({.client_id = "s", .clean = false}).subscribe("t", 1).send(disconnect());
    bed["p"].send(connect_p).take();
    for (unsigned id = 1; id <= 5; ++id)
        bed["p"].send(expiring("t", id, 10));
    bed.now += 10s;  // no tick has come since
    for (unsigned id = 6; id <= 8; ++id)
        bed["p"].send(expiring("t", id, 0));
    EXPECT_EQ(bed.core.stats().publish_dropped, 0U);
    EXPECT_EQ(bed.queued("s"), 3U);
    bed.reopen("s").login({.client_id = "s", .clean = false}, true);
    EXPECT_EQ(bed["s"].take_packets().size(), 3U);
}

TEST(expired_messages, leave_queues_by_themselves) {
    broker_bed bed;
    bed["p"].send(connect_p).take();
    for (int i = 0; i < 3; ++i) {
        const std::string name = "s" + std::to_string(i);
        bed[name].login({.client_id = name, .clean = false}).subscribe("t", 1).send(disconnect());
    }
    const std::size_t before = bed.core.queued_bytes();
    for (unsigned id = 1; id <= 100; ++id)
        bed["p"].send(expiring("t", id, id % 2 == 0 ? 10 : 20));
    bed.advance(9s);
    EXPECT_EQ(bed.queued("s0"), 100U);
    bed.advance(2s);
    EXPECT_EQ(bed.queued("s0"), 50U);
    EXPECT_EQ(bed.queued("s2"), 50U);
    bed.advance(10s);
    EXPECT_EQ(bed.queued("s1"), 0U);
    EXPECT_LT(bed.core.queued_bytes(), before + 3U * 16'384U);  // tables of places
}

TEST(expired_messages, make_room_for_retained_ones) {
    broker_settings settings;
    settings.quotas.retained_messages = 3;
    broker_bed bed(settings);
    bed["p"].send(connect_p).take();
    for (unsigned id = 1; id <= 3; ++id)
        bed["p"].send(expiring(std::to_string(id), id, 10, true));
    bed["p"].take();
    bed["p"].send(expiring("4", 4, 0, true)).expect("40 03 00 04 97");
    bed.now += 10s;
    bed["p"].send(expiring("4", 5, 0, true)).expect("40 03 00 05 10");
    EXPECT_EQ(bed.core.routes().retained().size(), 1U);
}

TEST(expired_messages, are_not_retained_any_longer) {
    broker_bed bed;
    bed["p"].send(connect_p).take();
    const retained_store& store = bed.core.routes().retained();
    for (unsigned id = 1; id <= 5'000; ++id)
        bed["p"].send(expiring(std::to_string(id), id, id <= 4'990 ? 10 : 20, true)).take();
    EXPECT_EQ(store.size(), 5'000U);
    bed.advance(11s);
    EXPECT_EQ(store.size(), 10U);
    bed.advance(10s);
    EXPECT_EQ(store.size(), 0U);
    EXPECT_EQ(store.bytes(), 0U);
}

TEST_F(durable_bed, forgets_what_has_expired) {
    leave_subscriber();
    at("p").send(connect_p).take();
    for (unsigned id = 1; id <= 5; ++id)
        at("p").send(expiring("t", id, id <= 3 ? 10 : 20));
    at("p").send(expiring("r", 6, 10, true));
    bed->commit_all();
    ASSERT_EQ(store.deliveries.size(), 5U);
    ASSERT_EQ(store.retained.size(), 1U);
    bed->advance(11s);
    bed->commit_all();
    EXPECT_EQ(store.deliveries.size(), 2U);
    EXPECT_EQ(store.messages.size(), 2U);
    EXPECT_EQ(store.retained.size(), 0U);
    // What expires while no broker runs is removed when the next one begins.
    const instant then = bed->now + 10s;
    bed.reset();
    bed = std::make_unique<broker_bed>();
    bed->now = then;
    bed->keep_in(store);
    EXPECT_EQ(bed->queued("s"), 0U);
    bed->commit_all();
    EXPECT_EQ(store.deliveries.size(), 0U);
    EXPECT_EQ(store.messages.size(), 0U);
}

}  // namespace
}  // namespace amqtt::test
