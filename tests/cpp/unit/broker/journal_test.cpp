// What is handed to the store, what is spared it, and what waits for it.
#include "broker/journal.hpp"

#include <gtest/gtest.h>

#include "support/durable_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

TEST_F(durable_bed, tells_that_a_session_is_new_when_that_is_stored) {
    at("s").send(connect(keeper)).expect_nothing();
    bed->commit_all();
    at("s").expect(connack());
    EXPECT_EQ(store.sessions.size(), 1U);
}

TEST_F(durable_bed, does_not_keep_a_session_that_ends_with_its_connection) {
    at("s").login({.client_id = "s"}).subscribe("t", 1);
    at("p").login({.client_id = "p"}).send(publish({.topic = "t", .level = 1, .packet_id = 1}));
    at("p").expect(puback(1));
    EXPECT_EQ(store.batches, 0U);
}

TEST_F(durable_bed, answers_subscribe_when_that_is_stored) {
    at("s").send(connect(keeper));
    bed->commit_all();
    at("s").expect(connack()).send(subscribe(9, {{"t", 1}})).expect_nothing();
    bed->commit_all();
    at("s").expect(suback(9, {1})).send(unsubscribe(10, {"t"})).expect_nothing();
    EXPECT_EQ(store.subscriptions.size(), 1U);
    bed->commit_all();
    at("s").expect(unsuback(10));
    EXPECT_TRUE(store.subscriptions.empty());
}

TEST_F(durable_bed, acknowledges_a_message_when_it_is_stored) {
    leave_subscriber();
    at("p").login({.client_id = "p"});
    at("p").send(publish({.topic = "t/1", .payload = "x", .level = 1, .packet_id = 7}));
    at("p").send(publish({.topic = "t/2", .payload = "y", .level = 2, .packet_id = 8}));
    at("p").expect_nothing();
    bed->commit_all();
    at("p").expect(puback(7)).expect(pubrec(8));
    EXPECT_EQ(store.messages.size(), 2U);
    EXPECT_EQ(store.deliveries.size(), 2U);
}

TEST_F(durable_bed, answers_pings_while_the_store_is_slow) {
    leave_subscriber();
    at("p").login({.client_id = "p"});
    at("p").send(publish({.topic = "t", .level = 1, .packet_id = 7})).send(pingreq());
    at("p").expect(pingresp()).expect_nothing();
}

TEST_F(durable_bed, needs_no_store_for_what_is_acknowledged_meanwhile) {
    at("s").send(connect(keeper)).send(subscribe(9, {{"t", 1}}));
    bed->commit_all();
    at("s").take();
    const std::size_t before = store.batches;
    at("p").login({.client_id = "p"});
    at("p").send(publish({.topic = "t", .level = 1, .packet_id = 7})).expect_nothing();
    at("s").expect(publish({.topic = "t", .level = 1, .packet_id = 1})).send(puback(1));
    at("p").expect(puback(7));
    EXPECT_EQ(store.batches, before);
}

TEST_F(durable_bed, sends_a_qos_2_message_when_it_is_stored) {
    at("s").send(connect(keeper)).send(subscribe(9, {{"t", 2}}));
    bed->commit_all();
    at("s").take();
    at("p").login({.client_id = "p"}).send(publish({.topic = "t", .level = 2, .packet_id = 7}));
    at("s").expect_nothing();
    bed->commit_all();
    at("s").expect(publish({.topic = "t", .level = 2, .packet_id = 1})).send(pubrec(1));
    at("s").expect_nothing();
    bed->commit_all();
    at("s").expect(pubrel(1)).send(pubcomp(1));
    at("p").expect(pubrec(7)).send(pubrel(7)).expect_nothing();
    bed->commit_all();
    at("p").expect(pubcomp(7));
    EXPECT_TRUE(store.deliveries.empty());
    EXPECT_TRUE(store.messages.empty());
    EXPECT_TRUE(store.received.empty());
}

TEST_F(durable_bed, waits_for_nothing_when_it_is_not_to_be_durable) {
    start({.durable = false});
    at("s").login(keeper).subscribe("t", 2);
    at("p").login({.client_id = "p"}).send(publish({.topic = "t", .level = 2, .packet_id = 7}));
    at("p").expect(pubrec(7));
    at("s").expect(publish({.topic = "t", .level = 2, .packet_id = 1}));
    bed->commit_all();
    EXPECT_EQ(store.deliveries.size(), 1U);
}

TEST_F(durable_bed, closes_after_disconnect_when_its_consequences_are_stored) {
    at("s").send(connect({.client_id = "s", .clean = false, .will = {{"t", "w"}}}));
    bed->commit_all();
    at("s").take();
    EXPECT_TRUE(store.sessions.begin()->second.will);
    at("s").send(disconnect()).expect_open();
    bed->commit_all();
    at("s").expect_closed();
    EXPECT_FALSE(store.sessions.begin()->second.will);
}

TEST_F(durable_bed, is_not_hurt_by_a_peer_that_closes_first) {
    at("s").send(connect(keeper));
    bed->commit_all();
    at("s").take();
    at("s").send(disconnect());
    at("s").abort();
    at("q").send(connect({.client_id = "q", .clean = false}));
    at("q").abort();
    bed->commit_all();
    EXPECT_EQ(store.sessions.size(), 2U);
}

TEST_F(durable_bed, collects_changes_for_one_batch) {
    leave_subscriber();
    const std::size_t before = store.batches;
    at("p").login({.client_id = "p"});
    for (unsigned id = 1; id <= 100; ++id)
        at("p").send(publish({.topic = "t", .level = 1, .packet_id = id}));
    bed->advance(100ms);
    EXPECT_EQ(store.batches, before + 1);
    EXPECT_EQ(store.handed_over->deliveries.size(), 100U);
}

TEST_F(durable_bed, stores_a_message_once_for_all_its_subscribers) {
    for (const std::string name : {"a", "b", "c"}) {
        at(name).send(connect({.client_id = name, .clean = false}));
        at(name).send(subscribe(9, {{"t", 1}})).send(disconnect());
    }
    bed->publish("t", "x", qos::at_least_once);
    bed->commit_all();
    EXPECT_EQ(store.messages.size(), 1U);
    EXPECT_EQ(store.deliveries.size(), 3U);
}

TEST_F(durable_bed, slows_those_who_publish_while_the_store_does_not_follow) {
    start({.most_changes = 10});
    leave_subscriber();
    at("p").login({.client_id = "p"});
    for (unsigned id = 1; id <= 100; ++id)
        at("p").send(publish({.topic = "t", .level = 1, .packet_id = id}));
    EXPECT_LT(bed->queued("s"), 30U);
    at("s").send(connect(keeper)).expect_nothing();  // it was handed over before
    bed->commit_all();
    EXPECT_EQ(bed->queued("s") + bed->session_of("s")->inflight().size(), 100U);
    for (unsigned id = 1; id <= 100; ++id)
        at("p").expect(puback(id));
}

TEST_F(durable_bed, collects_the_next_batch_while_one_is_stored) {
    start({.most_changes = 10});
    leave_subscriber();
    at("p").login({.client_id = "p"});
    for (unsigned id = 1; id <= 100; ++id)
        at("p").send(publish({.topic = "t", .level = 1, .packet_id = id}));
    ASSERT_TRUE(store.handed_over);
    const std::size_t in_first = store.handed_over->deliveries.size();
    EXPECT_GT(bed->queued("s"), in_first);  // they were read meanwhile
    bed->commit();
    EXPECT_GT(store.handed_over->deliveries.size(), 1U);  // so the next one is there, and full
    bed->commit_all();
    EXPECT_EQ(bed->queued("s"), 100U);
}

TEST_F(durable_bed, reads_on_when_what_filled_the_batch_is_undone) {
    start({.most_changes = 10});
    at("s").send(connect(keeper)).send(subscribe(9, {{"t", 1}}));
    bed->commit_all();
    at("s").take();
    at("other").send(connect({.client_id = "other", .clean = false}));  // occupies the store
    bed->advance(100ms);
    ASSERT_TRUE(store.handed_over);
    at("p").login({.client_id = "p"});
    for (unsigned id = 1; id <= 40; ++id)
        at("p").send(publish({.topic = "t", .level = 1, .packet_id = id}));
    unsigned received = 0;
    for (unsigned fresh = 1; fresh > 0; received += fresh) {
        fresh = static_cast<unsigned>(at("s").take_packets().size());
        for (unsigned i = 1; i <= fresh; ++i)
            at("s").send(puback(received + i));
    }
    EXPECT_EQ(received, 40U);
}

TEST_F(durable_bed, tells_that_a_session_is_there_when_that_is_stored) {
    at("s").send(connect(keeper)).expect_nothing();
    bed->reopen("s").send(connect(keeper)).expect_nothing();
    bed->commit_all();
    at("s").expect(connack(true));
    bed->reopen("s").send(connect(keeper)).expect(connack(true));  // it was before
}

}  // namespace
}  // namespace amqtt::test
