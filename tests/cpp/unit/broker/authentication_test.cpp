// Decisions on a CONNECT that take their time.
#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

class pending_authentication : public testing::Test {
  protected:
    pending_authentication() { bed_.hooks.answer = verdict::pending; }
    ~pending_authentication() override { bed_.expect_consistent(); }

    broker_bed bed_;
};

TEST_F(pending_authentication, allows_late) {
    bed_["c"].send(connect({.client_id = "c"})).expect_nothing();
    EXPECT_EQ(bed_.core.stats().clients_connected, 0U);
    EXPECT_EQ(bed_.session_of("c"), nullptr);
    bed_.advance(5s);
    bed_.decide(0, true);
    bed_["c"].expect(connack()).send(pingreq()).expect(pingresp());
    EXPECT_EQ(bed_.hooks.events, (std::vector<std::string>{"connected c"}));
}

TEST_F(pending_authentication, denies_late) {
    bed_["c"].send(connect({.client_id = "c", .will = {{"w", "gone"}}}));
    bed_.decide(0, false);
    bed_["c"].expect(connack(false, 5)).expect_closed();
    EXPECT_TRUE(bed_.hooks.events.empty());
    EXPECT_EQ(bed_.core.sessions().size(), 0U);
    EXPECT_EQ(bed_.core.stats().connections, 0U);
    EXPECT_EQ(bed_.hooks.logs_with("authentication failed"), 1U);
}

TEST_F(pending_authentication, denies_at_the_deadline) {
    bed_["c"].send(connect({.client_id = "c"}));
    bed_.advance(29s);
    bed_["c"].expect_nothing().expect_open();
    bed_.advance(2s);
    bed_["c"].expect(connack(false, 5)).expect_closed();
    EXPECT_EQ(bed_.hooks.logs_with("no decision"), 1U);
    bed_.decide(0, true);  // too late
    EXPECT_EQ(bed_.core.stats().connections, 0U);
}

TEST_F(pending_authentication, forgets_a_peer_that_leaves) {
    bed_["c"].send(connect({.client_id = "c", .will = {{"w", "gone"}}}));
    bed_["c"].abort();
    bed_.decide(0, true);
    bed_.advance(31s);
    EXPECT_EQ(bed_.core.sessions().size(), 0U);
    EXPECT_TRUE(bed_.hooks.events.empty());
}

TEST_F(pending_authentication, denies_whatever_the_code_of_the_denial_means) {
    for (const std::uint8_t code : {0x00, 0x01, 0x7F}) {
        const std::size_t n = bed_.hooks.tickets.size();
        bed_.reopen("c").send(connect({.client_id = "c"}));
        bed_.core.decide(bed_.hooks.tickets.at(n), {verdict::deny, static_cast<reason_code>(code)},
                         bed_.now);
        bed_.settle_now();
        bed_["c"].expect(connack(false, 5)).expect_closed();
    }
    EXPECT_EQ(bed_.core.stats().connections, 0U);
}

TEST_F(pending_authentication, is_not_begun_without_room) {
    bed_.hooks.has_room = false;
    bed_["a"].send(connect({.client_id = "a"}));
    bed_["a"].expect(connack(false, 3)).expect_closed();
    bed_["b"].send(wire("10 0e 00 04 'MQTT' 05 02 00 00 00 00 01 'b'"));
    bed_["b"].expect(wire("20 03 00 97 00")).expect_closed();
    EXPECT_TRUE(bed_.hooks.asked.empty());
    EXPECT_TRUE(bed_.hooks.refused.empty());
    EXPECT_EQ(bed_.hooks.logs_with("limits.max_pending_decisions"), 2U);
    bed_.hooks.has_room = true;
    bed_["c"].send(connect({.client_id = "c"}));
    bed_.decide(0, true);
    bed_["c"].expect(connack());
}

TEST_F(pending_authentication, tells_who_was_asked_of_a_refusal_that_is_not_their_own) {
    bed_["late"].send(connect({.client_id = "late"}));
    bed_["late"].abort();
    bed_.hooks.answer = verdict::deny;
    bed_["no"].send(connect({.client_id = "no"}));
    bed_["no"].expect(connack(false, 5)).expect_closed();
    EXPECT_EQ(bed_.hooks.refused, (std::vector<std::string>{"late"}));
}

TEST_F(pending_authentication, ignores_answers_to_questions_it_did_not_ask) {
    bed_["c"].send(connect({.client_id = "c"}));
    bed_.core.decide(bed_.hooks.tickets[0] + 1, {verdict::allow}, bed_.now);
    bed_["c"].expect_nothing();
    bed_.decide(0, true);
    bed_.decide(0, false);  // a second answer
    bed_["c"].expect(connack()).send(pingreq()).expect(pingresp());
}

TEST_F(pending_authentication, keeps_what_comes_behind_the_connect) {
    peer& c = bed_["c"];
    c.send(connect({.client_id = "c"}) + subscribe(1, {{"t", 1}}) + wire("30 06 00 01"));
    c.send(wire("'t' 'one'") + publish({.topic = "t", .payload = "two"}) + pingreq());
    c.expect_nothing();
    bed_.decide(0, true);
    c.expect(connack() + suback(1, {1}));
    c.expect(publish({.topic = "t", .payload = "one"}) + publish({.topic = "t", .payload = "two"}));
    c.expect(pingresp()).expect_nothing();
}

// 3.1.1:MQTT-3.1.4-5@server
TEST_F(pending_authentication, processes_nothing_behind_a_connect_it_refuses) {
    bed_.hooks.judge = [](const client& who) {
        return who.request->client_id == "c" ? verdict::pending : verdict::allow;
    };
    bed_["sub"].login({.client_id = "sub"}).subscribe("#");
    bed_["c"].send(connect({.client_id = "c"}) + publish({.topic = "t", .payload = "p"}) +
                   subscribe(1, {{"t", 1}}));
    bed_.decide(1, false);
    bed_["c"].expect(connack(false, 5)).expect_closed();
    bed_["sub"].expect_nothing();
    EXPECT_EQ(bed_.core.stats().publish_received, 0U);
}

TEST_F(pending_authentication, honours_a_disconnect_behind_the_connect) {
    bed_["c"].send(connect({.client_id = "c", .will = {{"w", "gone", 0, true}}}) + disconnect());
    bed_.decide(0, true);
    bed_["c"].expect(connack()).expect_closed();
    EXPECT_EQ(bed_.core.routes().retained().size(), 0U);
    EXPECT_EQ(bed_.hooks.events, (std::vector<std::string>{"connected c", "disconnected c"}));
}

TEST_F(pending_authentication, closes_on_a_violation_behind_the_connect) {
    bed_["c"].send(connect({.client_id = "c"}) + connect({.client_id = "c"}));
    bed_.decide(0, true);
    bed_["c"].expect(connack()).expect_closed();
}

TEST_F(pending_authentication, does_not_hold_up_others) {
    bed_.hooks.judge = [](const client& who) {
        return who.request->client_id == "slow" ? verdict::pending : verdict::allow;
    };
    bed_["slow"].send(connect({.client_id = "slow"}));
    bed_["c"].login({.client_id = "c"}).subscribe("t");
    bed_["c"].send(publish({.topic = "t"})).expect(publish({.topic = "t"}));
    bed_["slow"].expect_nothing();
}

TEST_F(pending_authentication, takes_over_between_two_pending_ones) {
    bed_["a"].send(connect({.client_id = "x"}));
    bed_["b"].send(connect({.client_id = "x"}));
    bed_.decide(0, true);
    bed_["a"].expect(connack());
    bed_["b"].expect_nothing();
    bed_.decide(1, true);
    bed_["a"].expect_closed();
    bed_["b"].expect(connack()).send(pingreq()).expect(pingresp());
}

TEST_F(pending_authentication, takes_over_in_the_order_of_the_decisions) {
    bed_["a"].send(connect({.client_id = "x"}));
    bed_["b"].send(connect({.client_id = "x"}));
    bed_.decide(1, true);
    bed_.decide(0, true);
    bed_["b"].expect(connack()).expect_closed();
    bed_["a"].expect(connack()).send(pingreq()).expect(pingresp());
}

TEST_F(pending_authentication, a_refused_client_does_not_disturb_the_owner_of_its_identifier) {
    bed_["owner"].send(connect({.client_id = "x", .clean = false}));
    bed_.decide(0, true);
    bed_["owner"].expect(connack()).subscribe("t", 1);
    bed_["thief"].send(connect({.client_id = "x", .clean = true, .will = {{"t", "gone"}}}));
    bed_["owner"].send(pingreq()).expect(pingresp());
    bed_.decide(1, false);
    bed_["thief"].expect(connack(false, 5)).expect_closed();
    bed_["owner"].send(publish({.topic = "t"})).expect(publish({.topic = "t"})).expect_open();
}

TEST_F(pending_authentication, counts_keep_alive_from_the_decision) {
    bed_["c"].send(connect({.client_id = "c", .keep_alive = 10}));
    bed_.advance(20s);
    bed_.decide(0, true);
    bed_["c"].expect(connack());
    bed_.advance(14s);
    bed_["c"].expect_open();
    bed_.advance(2s);
    bed_["c"].expect_closed();
}

TEST_F(pending_authentication, ends_at_shutdown) {
    bed_["silent"].expect_nothing();
    bed_["c"].send(connect({.client_id = "c"}));
    bed_.shutdown();
    bed_["c"].expect_closed();
    bed_["silent"].expect_closed();
    bed_.decide(0, true);
    EXPECT_EQ(bed_.core.sessions().size(), 0U);
}

// Policy may refuse a client for its identifier. 5.0:MQTT-3.1.3-8@server
TEST_F(pending_authentication, denies_with_a_reason) {
    bed_["c"].send("10 0f 00 04 'MQTT' 05 02 00 3c 00 00 02 'c1'").expect_nothing();
    bed_.core.decide(bed_.hooks.tickets.at(0),
                     {verdict::deny, reason_code::client_identifier_not_valid, "reserved"},
                     bed_.now);
    bed_.advance(50ms);
    bed_["c"].expect("20 0e 00 85 0b 1f 00 08 'reserved'").expect_closed();
    bed_["old"].send(connect({.client_id = "c1"}));
    bed_.core.decide(bed_.hooks.tickets.at(1),
                     {verdict::deny, reason_code::client_identifier_not_valid}, bed_.now);
    bed_.advance(50ms);
    bed_["old"].expect(connack(false, 2)).expect_closed();
}

// 3.1.1:MQTT-3.2.2-5@server
TEST(authentication, denies_at_once) {
    broker_bed bed;
    bed.hooks.judge = [](const client& who) {
        const bool right = who.request->user_name() == "u" && who.request->password() == "p";
        return right ? verdict::allow : verdict::deny;
    };
    bed["a"].send(connect({.client_id = "a"})).expect(connack(false, 5)).expect_closed();
    bed["b"].login({.client_id = "b", .user_name = "u", .password = "p"});
    EXPECT_EQ(bed.core.stats().connections, 1U);
    bed.expect_consistent();
}

TEST(authentication, is_not_asked_for_what_is_refused_anyway) {
    broker_bed bed;
    bed["a"].send(connect({.client_id = "", .clean = false})).expect(connack(false, 2));
    bed["a"].expect_closed();
    bed["b"].send(wire("10 0d 00 04 'MQTT' 06 02 00 00 00 01 'c'")).expect("20 03 00 84 00");
    bed["b"].expect_closed();
    EXPECT_TRUE(bed.hooks.asked.empty());
}

TEST(authentication, sees_the_identifier_that_was_assigned) {
    broker_bed bed;
    bed["a"].login({.client_id = ""});
    bed["b"].login({.client_id = ""});
    ASSERT_EQ(bed.hooks.asked.size(), 2U);
    EXPECT_TRUE(bed.hooks.asked[0].starts_with("amqtt/"));
    EXPECT_NE(bed.hooks.asked[0], bed.hooks.asked[1]);
}

TEST(authentication, waits_for_connect_for_a_limited_time) {
    broker_bed bed;
    bed["silent"].expect_nothing();
    bed["slow"].send(wire("10 0d 00 04"));
    bed.advance(29s);
    bed["silent"].expect_open();
    bed.advance(2s);
    bed["silent"].expect_closed();
    bed["slow"].expect_closed();
}

}  // namespace
}  // namespace amqtt::test
