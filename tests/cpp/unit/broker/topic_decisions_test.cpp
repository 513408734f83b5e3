// Decisions on topics that take their time, and what waits for them meanwhile.
#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

class topic_decisions : public testing::Test {
  protected:
    ~topic_decisions() override { bed_.expect_consistent(); }

    // Answers the question that was asked n-th.
    void answer(std::size_t n, verdict made, reason_code code = reason_code::not_authorized,
                std::string reason = {}) {
        bed_.core.decide_topic(bed_.hooks.topic_tickets.at(n), {made, code, std::move(reason)},
                               bed_.now);
        bed_.settle_now();
    }
    void allow(std::size_t n) { answer(n, verdict::allow); }
    void deny(std::size_t n) { answer(n, verdict::deny); }
    std::vector<std::string>& questions() { return bed_.hooks.topics; }

    broker_bed bed_;
};

TEST_F(topic_decisions, are_not_asked_for_without_a_hook) {
    bed_["c"].login({.client_id = "c"}).subscribe("t");
    bed_["c"].send(publish({.topic = "t", .payload = "x"}));
    bed_["c"].expect(publish({.topic = "t", .payload = "x"}));
    EXPECT_TRUE(questions().empty());
}

TEST_F(topic_decisions, hold_a_publish_and_all_behind_it) {
    bed_.hooks.want({hook::check_publish});
    bed_["sub"].login({.client_id = "s"}).subscribe("#");
    peer& c = bed_["c"];
    c.login({.client_id = "c"});
    c.send(publish({.topic = "a", .payload = "1", .level = 1, .packet_id = 5}) + pingreq());
    c.expect_nothing();
    EXPECT_EQ(questions(), (std::vector<std::string>{"c publish a"}));
    bed_["other"].login({.client_id = "o"}).send(pingreq()).expect(pingresp());
    bed_["sub"].expect_nothing();
    allow(0);
    c.expect(puback(5) + pingresp());
    bed_["sub"].expect(publish({.topic = "a", .payload = "1"}));
}

TEST_F(topic_decisions, refuse_a_publish_without_telling_mqtt_3) {
    bed_.hooks.want({hook::check_publish});
    bed_["sub"].login({.client_id = "s"}).subscribe("#");
    peer& c = bed_["c"];
    c.login({.client_id = "c"});
    c.send(publish({.topic = "a", .payload = "1", .level = 2, .packet_id = 5}));
    deny(0);
    c.expect(pubrec(5)).send(pubrel(5)).expect(pubcomp(5));
    bed_["sub"].expect_nothing();
    EXPECT_EQ(bed_.hooks.logs_with("c not allowed to publish to TOPIC a."), 1U);
}

TEST_F(topic_decisions, tell_mqtt_5_why_a_publish_is_refused) {
    bed_.hooks.want({hook::check_publish});
    peer& c = bed_["c"];
    c.send(wire("10 0f 00 04 'MQTT' 05 02 00 3c 00 00 02 'c5'")).take();
    c.send(wire("32 07 00 01 'a' 00 05 00 'x'"));
    answer(0, verdict::deny, reason_code::quota_exceeded, "no");
    c.expect(wire("40 09 00 05 97 05 1f 00 02 'no'"));
    // The identifier of a refused QoS 2 message is free again (5.0:MQTT-4.3.3-9).
    c.send(wire("34 07 00 01 'a' 00 06 00 'x'"));
    answer(1, verdict::deny);
    c.expect(wire("50 03 00 06 87"));
    c.send(wire("34 07 00 01 'a' 00 06 00 'x'"));
    EXPECT_EQ(questions().size(), 3U);
    deny(2);
    c.expect(wire("50 03 00 06 87"));
}

TEST_F(topic_decisions, hold_a_subscribe_until_all_filters_are_decided) {
    bed_.hooks.want({hook::check_subscribe});
    peer& c = bed_["c"];
    c.login({.client_id = "c"});
    c.send(subscribe(7, {{"a", 1}, {"$share/c", 0}, {"b", 2}}) + pingreq()).expect_nothing();
    EXPECT_EQ(questions(), (std::vector<std::string>{"c subscribe a", "c subscribe b"}));
    allow(1);
    c.expect_nothing();
    deny(0);
    c.expect(suback(7, {0x80, 0x80, 2}) + pingresp());
}

TEST_F(topic_decisions, keep_the_filters_of_a_held_subscribe) {
    bed_.hooks.want({hook::check_subscribe});
    bed_["c"].login({.client_id = "c"}).send(subscribe(7, {{"short", 0}, {"no", 0}}));
    allow(0);
    deny(1);
    bed_["c"].expect(suback(7, {0, 0x80}));
    bed_["p"].login({.client_id = "p"}).send(publish({.topic = "short", .payload = "x"}));
    bed_["c"].expect(publish({.topic = "short", .payload = "x"}));
}

TEST_F(topic_decisions, ask_about_the_filter_behind_a_share_name) {
    bed_.hooks.want({hook::check_subscribe});
    bed_["c"].login({.client_id = "c"});
    bed_["c"].send(subscribe(7, {{"$share/g/a/#", 0}}));
    EXPECT_EQ(questions(), (std::vector<std::string>{"c subscribe a/#"}));
    allow(0);
    bed_["c"].expect(suback(7, {0}));
}

TEST_F(topic_decisions, keep_the_order_of_what_one_subscriber_receives) {
    bed_["slow"].login({.client_id = "slow"}).subscribe("#");
    bed_["fast"].login({.client_id = "fast"}).subscribe("#");
    bed_.hooks.want({hook::check_receive});
    bed_.hooks.judge_topic = [](std::string_view question) {
        return question.starts_with("fast") || question == "slow receive b" ? verdict::allow
                                                                            : verdict::pending;
    };
    peer& p = bed_["p"];
    p.login({.client_id = "p"});
    for (const char* topic : {"a", "b", "c"})
        p.send(publish({.topic = topic, .payload = "x"}));
    const bytes a = publish({.topic = "a", .payload = "x"});
    const bytes b = publish({.topic = "b", .payload = "x"});
    const bytes c = publish({.topic = "c", .payload = "x"});
    bed_["fast"].expect(a + b + c);
    bed_["slow"].expect_nothing();
    allow(1);  // c, which waits behind a
    bed_["slow"].expect_nothing();
    allow(0);
    bed_["slow"].expect(a + b + c);
}

TEST_F(topic_decisions, leave_out_what_a_subscriber_may_not_receive) {
    bed_["s"].login({.client_id = "s"}).subscribe("#");
    bed_.hooks.want({hook::check_receive});
    bed_["p"].login({.client_id = "p"}).send(publish({.topic = "a", .payload = "x"}));
    bed_["p"].send(publish({.topic = "b", .payload = "x"}));
    deny(0);
    allow(1);
    bed_["s"].expect(publish({.topic = "b", .payload = "x"}));
}

TEST_F(topic_decisions, are_made_on_retained_messages_too) {
    bed_.publish("a", "kept", qos::at_most_once, true);
    bed_.hooks.want({hook::check_receive});
    peer& s = bed_["s"];
    s.login({.client_id = "s"}).subscribe("a");
    EXPECT_EQ(questions(), (std::vector<std::string>{"s receive a"}));
    s.expect_nothing();
    allow(0);
    s.expect(publish({.topic = "a", .payload = "kept", .retain = true}));
}

TEST_F(topic_decisions, are_refusals_at_the_deadline) {
    bed_.hooks.want({hook::check_publish});
    peer& c = bed_["c"];
    c.login({.client_id = "c"});
    c.send(publish({.topic = "a", .payload = "1", .level = 1, .packet_id = 5}));
    bed_.advance(29s);
    c.expect_nothing();
    bed_.advance(2s);
    c.expect(puback(5));
    EXPECT_EQ(bed_.hooks.logs_with("no decision in time"), 1U);
    allow(0);  // too late
    c.send(pingreq()).expect(pingresp());
}

TEST_F(topic_decisions, do_not_let_keep_alive_run_out) {
    bed_.hooks.want({hook::check_publish});
    peer& c = bed_["c"];
    c.login({.client_id = "c", .keep_alive = 4});
    c.send(publish({.topic = "a", .payload = "1", .level = 1, .packet_id = 5}));
    bed_.advance(20s);
    allow(0);
    c.expect(puback(5)).expect_open();
}

TEST_F(topic_decisions, are_forgotten_with_their_client) {
    bed_.hooks.want({hook::check_publish, hook::check_subscribe});
    bed_["p"].login({.client_id = "p"}).send(publish({.topic = "a", .payload = "1"}));
    bed_["s"].login({.client_id = "s"}).send(subscribe(7, {{"a", 0}, {"b", 0}}));
    bed_["p"].abort();
    bed_["s"].abort();
    allow(0);
    allow(1);
    deny(2);
    bed_.advance(31s);
    EXPECT_EQ(bed_.hooks.logs_with("no decision"), 0U);
}

TEST_F(topic_decisions, are_forgotten_with_the_session_that_was_to_receive) {
    bed_["s"].login({.client_id = "s"}).subscribe("#");
    bed_.hooks.want({hook::check_receive});
    bed_["p"].login({.client_id = "p"}).send(publish({.topic = "a", .payload = "1"}));
    bed_["s"].abort();
    allow(0);
    bed_["s"].expect_nothing();
}

TEST_F(topic_decisions, are_made_on_wills) {
    bed_["s"].login({.client_id = "s"}).subscribe("#");
    bed_.hooks.want({hook::check_publish});
    for (const char* name : {"a", "b"}) {
        bed_[name].login({.client_id = name, .will = {{name, "gone"}}});
        bed_[name].abort();
    }
    EXPECT_EQ(questions(), (std::vector<std::string>{"a publish a", "b publish b"}));
    deny(0);
    allow(1);
    bed_["s"].expect(publish({.topic = "b", .payload = "gone"}));
}

TEST_F(topic_decisions, are_passed_on_to_be_remembered) {
    bed_.hooks.want({hook::check_publish});
    bed_["p"].login({.client_id = "p"}).send(publish({.topic = "a", .payload = "1"}));
    allow(0);
    EXPECT_EQ(bed_.hooks.decided, (std::vector<std::string>{"p publish a: allow"}));
}

TEST_F(topic_decisions, refuse_whatever_the_code_of_the_refusal_means) {
    bed_.hooks.want({hook::check_publish, hook::check_subscribe});
    peer& c = bed_["c"];
    c.send(wire("10 0e 00 04 'MQTT' 05 02 00 00 00 00 01 'c'")).take();
    for (const std::uint8_t code : {0x00, 0x01, 0x02, 0x10, 0x7F}) {
        const std::size_t n = questions().size();
        c.send(wire("82 07 00 07 00 00 01 'a' 01"));
        answer(n, verdict::deny, static_cast<reason_code>(code));
        c.expect(wire("90 04 00 07 00 87"));
        c.send(wire("34 07 00 01 'a' 00 06 00 'x'"));
        answer(n + 1, verdict::deny, static_cast<reason_code>(code));
        c.expect(wire("50 03 00 06 87"));
    }
    EXPECT_EQ(bed_.core.routes().subscription_count(), 0U);
}

TEST_F(topic_decisions, are_made_again_for_another_login) {
    bed_["s"].login({.client_id = "s", .clean = false}).subscribe("#");
    bed_.hooks.want({hook::check_receive});
    bed_["p"].login({.client_id = "p"}).send(publish({.topic = "a", .payload = "1"}));
    bed_.reopen("s").login({.client_id = "s", .clean = false}, true);
    allow(0);  // which was for the login before
    bed_["s"].expect_nothing();
    EXPECT_TRUE(bed_.hooks.decided.empty());
    EXPECT_EQ(questions(), (std::vector<std::string>{"s receive a", "s receive a"}));
    allow(1);
    bed_["s"].expect(publish({.topic = "a", .payload = "1"}));
    EXPECT_EQ(bed_.hooks.decided, (std::vector<std::string>{"s receive a: allow"}));
}

TEST_F(topic_decisions, for_another_login_may_be_known) {
    bed_["s"].login({.client_id = "s", .clean = false}).subscribe("#");
    bed_.hooks.want({hook::check_receive});
    bed_["p"].login({.client_id = "p"}).send(publish({.topic = "a", .payload = "1"}));
    bed_["p"].send(publish({.topic = "b", .payload = "2"}));
    bed_.reopen("s").login({.client_id = "s", .clean = false}, true);
    bed_.hooks.judge_topic = [](std::string_view question) {
        return question == "s receive a" ? verdict::deny : verdict::allow;
    };
    allow(0);
    allow(1);
    bed_["s"].expect(publish({.topic = "b", .payload = "2"}));
}

// -- what the application does

TEST(application, disconnects_a_client) {
    broker_bed bed;
    bed["c"].login({.client_id = "c", .will = {{"w", "gone"}}});
    bed["s"].login({.client_id = "s"}).subscribe("w");
    EXPECT_TRUE(bed.core.disconnect_client("c", reason_code::administrative_action, bed.now));
    bed.settle_now();
    bed["c"].expect_closed();
    bed["s"].expect(publish({.topic = "w", .payload = "gone"}));
    EXPECT_FALSE(bed.core.disconnect_client("nobody", reason_code::banned, bed.now));
}

TEST(application, keeps_a_session_for_a_client_to_come) {
    broker_bed bed;
    session* s = bed.core.create_session("c");
    ASSERT_NE(s, nullptr);
    EXPECT_EQ(bed.core.create_session("c"), nullptr);
    EXPECT_EQ(bed.core.add_subscription(*s, "t", qos::at_least_once), reason_code::granted_qos_1);
    EXPECT_EQ(bed.core.add_subscription(*s, "t/#/u", qos::at_least_once),
              reason_code::topic_filter_invalid);
    bed.publish("t", "waits", qos::at_least_once);
    EXPECT_EQ(bed.queued("c"), 1U);
    bed["c"].login({.client_id = "c", .clean = false}, true);
    bed["c"].expect(publish({.topic = "t", .payload = "waits", .level = 1, .packet_id = 1}));
}

TEST(application, subscribes_inside_the_process) {
    broker_bed bed;
    bed.publish("a/kept", "r", qos::at_most_once, true);
    EXPECT_FALSE(bed.core.subscribe_local(1, "a/#/b", qos::at_most_once, bed.now));
    EXPECT_TRUE(bed.core.subscribe_local(1, "a/#", qos::exactly_once, bed.now));
    bed["p"].login({.client_id = "p"}).send(publish({.topic = "a/b", .payload = "x"}));
    bed["p"].send(publish({.topic = "b", .payload = "x"}));
    EXPECT_EQ(bed.hooks.local, (std::vector<std::string>{"1 a/kept r", "1 a/b x"}));
    bed.core.unsubscribe_local(1);
    bed["p"].send(publish({.topic = "a/b", .payload = "x"}));
    EXPECT_EQ(bed.hooks.local.size(), 2U);
}

TEST(application, waits_for_observers_that_do_not_keep_up) {
    broker_bed bed;
    peer& c = bed["c"];
    c.login({.client_id = "c"});
    bed.hooks.congested = true;
    c.send(pingreq()).expect(pingresp());
    c.send(pingreq()).expect_nothing();
    bed.hooks.congested = false;
    bed.core.resume_clients();
    bed.settle_now();
    c.expect(pingresp());
}

TEST(application, is_shown_the_packets) {
    broker_bed bed;
    bed.hooks.want({hook::packet_received, hook::packet_sent});
    bed["c"].login({.client_id = "c"}).send(pingreq());
    bed["c"].send(publish({.topic = "t", .payload = "x", .level = 1, .packet_id = 3}));
    EXPECT_EQ(bed.hooks.packets,
              (std::vector<bytes>{
                  connect({.client_id = "c"}), connack(), pingreq(), pingresp(),
                  publish({.topic = "t", .payload = "x", .level = 1, .packet_id = 3}), puback(3)}));
    EXPECT_EQ(bed.core.stats().packets_received, 3U);
    EXPECT_EQ(bed.core.stats().packets_sent, 3U);
}

}  // namespace
}  // namespace amqtt::test
