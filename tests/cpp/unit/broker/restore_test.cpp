// What a broker has after a crash: what its store has, and nothing else.
#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "support/durable_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

// Of client `w`: a session of 60 minutes, and a will for `t/w` after 30 seconds.
const bytes delayed_will = wire(
    "10 24 00 04 'MQTT' 05 04 00 00 05 11 00 00 0e 10 00 01 'w'"
    " 05 18 00 00 00 1e 00 03 't/w' 00 04 'gone'");
const bytes returning = wire("10 13 00 04 'MQTT' 05 00 00 00 05 11 00 00 0e 10 00 01 'w'");

TEST_F(durable_bed, has_what_it_had) {
    leave_subscriber();
    at("p").login({.client_id = "p"});
    at("p").send(publish({.topic = "t/1", .payload = "x", .level = 1, .packet_id = 7}));
    at("p").send(publish({.topic = "t/2", .payload = "y", .level = 2, .packet_id = 8}));
    at("p").send(
        publish({.topic = "t/3", .payload = "z", .level = 1, .packet_id = 9, .retain = true}));
    bed->commit_all();
    crash();
    at("s").login(keeper, true);
    at("s").expect(publish({.topic = "t/1", .payload = "x", .level = 1, .packet_id = 1}));
    bed->commit_all();
    at("s").expect(publish({.topic = "t/2", .payload = "y", .level = 2, .packet_id = 2}));
    at("s").expect(publish({.topic = "t/3", .payload = "z", .level = 1, .packet_id = 3}));
    at("n").login({.client_id = "n"}).subscribe("t/+", 0);
    at("n").expect(publish({.topic = "t/3", .payload = "z", .retain = true})).expect_nothing();
}

TEST_F(durable_bed, goes_on_with_packet_identifiers_and_states) {
    leave_subscriber();
    at("p").login({.client_id = "p"});
    at("p").send(publish({.topic = "t/1", .payload = "x", .level = 2, .packet_id = 7}));
    at("p").send(publish({.topic = "t/2", .payload = "y", .level = 2, .packet_id = 8}));
    bed->commit_all();
    bed->reopen("s").login(keeper, true);
    bed->commit_all();
    at("s").take();
    at("s").send(pubrec(1));
    bed->commit_all();
    at("s").expect(pubrel(1));
    crash();
    // What is sent again waits for the store, which is to know that the client is there.
    at("s").login(keeper, true).expect_nothing();
    bed->commit_all();
    at("s").expect(pubrel(1));
    at("s").expect(
        publish({.topic = "t/2", .payload = "y", .level = 2, .packet_id = 2, .dup = true}));
    at("s").send(pubcomp(1)).send(pubrec(2));
    bed->commit_all();
    at("s").expect(pubrel(2)).send(pubcomp(2));
    bed->commit_all();
    EXPECT_TRUE(store.deliveries.empty());
    EXPECT_TRUE(store.messages.empty());
}

TEST_F(durable_bed, knows_the_messages_that_a_client_has_not_released) {
    leave_subscriber();
    const connect_spec sender{.client_id = "p", .clean = false};
    at("p").send(connect(sender));
    bed->commit_all();
    at("p").take();
    at("p").send(publish({.topic = "t", .payload = "x", .level = 2, .packet_id = 7}));
    bed->commit_all();
    crash();
    at("p").login(sender, true);
    at("p").send(publish({.topic = "t", .payload = "x", .level = 2, .packet_id = 7, .dup = true}));
    bed->commit_all();
    at("p").expect(pubrec(7));
    EXPECT_EQ(bed->queued("s"), 1U);
}

TEST_F(durable_bed, forgets_what_was_not_stored) {
    leave_subscriber();
    at("p").login({.client_id = "p"}).send(publish({.topic = "t", .level = 1, .packet_id = 7}));
    at("p").expect_nothing();
    crash();
    EXPECT_EQ(bed->queued("s"), 0U);
}

TEST_F(durable_bed, keeps_nothing_of_a_session_that_has_ended) {
    leave_subscriber();
    bed->publish("t/1", "x", qos::at_least_once);
    bed->commit_all();
    bed->reopen("s").login(keeper, true);
    at("s").send(disconnect());
    at("s2").send(connect({.client_id = "s"}));  // Clean Session
    bed->commit_all();
    EXPECT_TRUE(store.sessions.empty());
    EXPECT_TRUE(store.subscriptions.empty());
    EXPECT_TRUE(store.messages.empty());
    EXPECT_TRUE(store.deliveries.empty());
    crash();
    EXPECT_EQ(bed->core.sessions().size(), 0U);
}

TEST_F(durable_bed, drops_a_session_whose_time_is_over) {
    broker_settings settings;
    settings.session_expiry = 60s;
    start({}, settings);
    leave_subscriber();
    bed->advance(30s);
    const instant then = bed->now;
    start({}, settings);
    bed->now = then;
    bed->advance(25s);
    EXPECT_NE(bed->session_of("s"), nullptr);
    bed->advance(10s);
    EXPECT_EQ(bed->session_of("s"), nullptr);
    bed->commit_all();
    EXPECT_TRUE(store.sessions.empty());
}

// 5.0 section 3.1.2.5: after a failure of the server
TEST_F(durable_bed, publishes_the_wills_of_those_who_were_connected) {
    leave_subscriber();
    at("w").send(connect({.client_id = "w", .will = {{"t/will", "gone", 1}}}));
    bed->commit_all();
    at("w").take();
    crash();
    EXPECT_EQ(bed->queued("s"), 1U);
    bed->commit_all();
    EXPECT_EQ(store.sessions.size(), 1U);
    crash();
    EXPECT_EQ(bed->queued("s"), 1U);
}

TEST_F(durable_bed, replaces_and_removes_retained_messages) {
    at("p").login({.client_id = "p"});
    at("p").send(
        publish({.topic = "r/1", .payload = "a", .level = 1, .packet_id = 1, .retain = true}));
    at("p").send(
        publish({.topic = "r/2", .payload = "b", .level = 1, .packet_id = 2, .retain = true}));
    bed->commit_all();
    at("p").send(
        publish({.topic = "r/1", .payload = "c", .level = 1, .packet_id = 3, .retain = true}));
    at("p").send(publish({.topic = "r/2", .level = 1, .packet_id = 4, .retain = true}));
    at("p").take();
    at("p").expect_nothing();
    bed->commit_all();
    at("p").expect(puback(3)).expect(puback(4));
    ASSERT_EQ(store.retained.size(), 1U);
    EXPECT_EQ(as_text(store.retained.begin()->second.content->payload()), "c");
    crash();
    EXPECT_EQ(bed->core.routes().retained().size(), 1U);
}

TEST_F(durable_bed, hands_shared_messages_of_an_ended_member_to_another) {
    for (const std::string name : {"a", "b"}) {
        at(name).send(connect({.client_id = name, .clean = false}));
        at(name).send(subscribe(9, {{"$share/g/t", 1}})).send(disconnect());
    }
    for (int i = 0; i < 4; ++i)
        bed->publish("t", "x", qos::at_least_once);
    bed->commit_all();
    at("a2").send(connect({.client_id = "a"}));
    bed->commit_all();
    crash();
    EXPECT_EQ(bed->queued("b"), 4U);
}

TEST_F(durable_bed, asks_again_about_what_was_undecided) {
    leave_subscriber();
    bed->hooks.want({hook::check_receive});
    at("p").login({.client_id = "p"}).send(publish({.topic = "t", .level = 1, .packet_id = 7}));
    bed->commit_all();
    at("p").expect(puback(7));
    bed.reset();
    bed = std::make_unique<broker_bed>();
    bed->hooks.want({hook::check_receive});
    bed->keep_in(store);
    ASSERT_EQ(bed->hooks.topic_tickets.size(), 1U);
    EXPECT_EQ(bed->queued("s"), 0U);
    bed->core.decide_topic(bed->hooks.topic_tickets[0], {verdict::allow}, bed->now);
    EXPECT_EQ(bed->queued("s"), 1U);
    bed->commit_all();
    EXPECT_EQ(store.deliveries.size(), 1U);
}

// 5.0 section 3.1.3.2.2, with a crash in the middle of the delay
TEST_F(durable_bed, publishes_a_delayed_will_when_its_time_has_come) {
    for (const std::string back : {"no", "yes"}) {
        store = {};
        start();
        leave_subscriber();
        at("w").send(delayed_will);
        bed->commit_all();
        at("w").take();
        at("w").abort();
        bed->commit_all();
        bed->advance(20s);
        bed->commit_all();
        const instant then = bed->now;
        bed.reset();
        bed = std::make_unique<broker_bed>();
        bed->now = then;
        bed->keep_in(store);
        bed->advance(5s);
        EXPECT_EQ(bed->queued("s"), 0U);
        if (back == "yes") at("w").send(returning);
        bed->advance(20s);
        EXPECT_EQ(bed->queued("s"), back == "yes" ? 0U : 1U);
    }
}

TEST_F(durable_bed, keeps_the_properties_and_the_expiry_of_retained_messages) {
    at("p").send(wire("10 0e 00 04 'MQTT' 05 02 00 00 00 00 01 'p'"));
    at("p").take();
    // Message Expiry Interval 60, Content Type 'x'
    at("p").send(wire("33 13 00 01 'r' 00 01 09 02 00 00 00 3c 03 00 01 'x' 'kept'"));
    at("p").send(wire("33 0c 00 01 'q' 00 02 05 02 00 00 00 05 'b'"));
    bed->commit_all();
    const instant then = bed->now + 10s;
    bed.reset();
    bed = std::make_unique<broker_bed>();
    bed->now = then;
    bed->keep_in(store);
    EXPECT_EQ(bed->core.routes().retained().size(), 1U);
    at("n").send(wire("10 0e 00 04 'MQTT' 05 02 00 00 00 00 01 'n'"));
    at("n").take();
    at("n").send(wire("82 07 00 09 00 00 01 '#' 00"));
    const bytes got = at("n").take();
    const bytes expected = wire("03 00 01 'x' 'kept'");
    EXPECT_TRUE(std::search(got.begin(), got.end(), expected.begin(), expected.end()) != got.end());
    bed->commit_all();
    EXPECT_EQ(store.retained.size(), 1U);
}

TEST_F(durable_bed, survives_a_take_over_whose_acknowledgements_were_waiting) {
    leave_subscriber();
    const connect_spec sender{.client_id = "p", .clean = false};
    at("p").send(connect(sender));
    bed->commit_all();
    at("p").take();
    const auto message = [](bool again) {
        return publish({.topic = "t",
                        .payload = "x",
                        .level = 2,
                        .packet_id = 7,
                        .retain = false,
                        .dup = again});
    };
    at("p").send(message(false)).expect_nothing();
    at("p2").send(connect(sender)).expect(connack(true));
    at("p").expect_closed();
    at("p2").send(message(true)).expect_nothing();
    bed->commit_all();
    at("p2").expect(pubrec(7));
    crash();
    EXPECT_EQ(bed->queued("s"), 1U);
    at("p").login(sender, true).send(pubrel(7));
    bed->commit_all();
    at("p").expect(pubcomp(7));
    EXPECT_TRUE(store.received.empty());
}

TEST_F(durable_bed, numbers_what_comes_after_all_that_is_there) {
    leave_subscriber();
    for (int round = 0; round < 3; ++round) {
        bed->publish("t", "x", qos::at_least_once);
        bed->publish("r/" + std::to_string(round), "x", qos::at_least_once, true);
        bed->commit_all();
        crash();
    }
    EXPECT_EQ(store.deliveries.size(), 3U);  // the store checks that no number is used twice
    EXPECT_EQ(store.retained.size(), 3U);
    bed->reopen("s").login(keeper, true);
    for (unsigned id = 1; id <= 3; ++id)
        at("s").expect(publish({.topic = "t", .payload = "x", .level = 1, .packet_id = id}));
}

// As when somebody has deleted its row by hand.
TEST_F(durable_bed, removes_what_is_left_of_a_session_that_is_gone) {
    leave_subscriber();
    at("p").send(connect({.client_id = "p", .clean = false}));
    bed->commit_all();
    at("p").take();
    at("p").send(publish({.topic = "t", .level = 2, .packet_id = 7}));
    bed->commit_all();
    ASSERT_EQ(store.received.size(), 1U);
    store.sessions.clear();
    crash();
    bed->commit_all();
    EXPECT_TRUE(store.subscriptions.empty());
    EXPECT_TRUE(store.deliveries.empty());
    EXPECT_TRUE(store.messages.empty());
    EXPECT_TRUE(store.received.empty());
    at("q").send(connect({.client_id = "q", .clean = false}));
    bed->commit_all();
    at("q").take();
    at("q").send(publish({.topic = "t", .level = 2, .packet_id = 7}));
    bed->commit_all();
    at("q").expect(pubrec(7));
}

}  // namespace
}  // namespace amqtt::test
