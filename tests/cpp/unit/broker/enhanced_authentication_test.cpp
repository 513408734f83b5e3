// AUTH: before a client is admitted, and again later (section 4.12 of MQTT 5.0).
#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;
using outcome = authentication_outcome;
using strings = std::vector<std::string>;

// CONNECT of c1 with Authentication Method m and Authentication Data d, and a will on w.
constexpr std::string_view connect_m =
    "10 1e 00 04 'MQTT' 05 06 00 3c 08 15 00 01 'm' 16 00 01 'd' 00 02 'c1' 00 00 01 'w' 00 01 'x'";
constexpr std::string_view accepted_m = "20 0a 00 00 07 22 00 20 15 00 01 'm'";

authentication_reply challenge(std::string data) {
    return {.outcome = outcome::challenge, .data = std::move(data)};
}

authentication_reply accepted(std::string data = {}) {
    return {.outcome = outcome::accepted, .data = std::move(data)};
}

authentication_reply refused(reason_code code, std::string reason = {}) {
    return {.outcome = outcome::refused, .code = code, .reason = std::move(reason)};
}

const authentication_reply pending{.outcome = outcome::pending};

class enhanced_authentication : public testing::Test {
  protected:
    ~enhanced_authentication() override { bed_.expect_consistent(); }

    void log_in() {
        bed_.hooks.replies = {accepted()};
        bed_["c"].send(connect_m).expect(accepted_m);
    }

    broker_bed bed_;
};

// 5.0:MQTT-4.12.0-5@server
TEST_F(enhanced_authentication, accepts_at_once) {
    bed_.hooks.replies = {accepted("bye")};
    bed_["c"].send(connect_m).expect("20 10 00 00 0d 22 00 20 15 00 01 'm' 16 00 03 'bye'");
    EXPECT_EQ(bed_.hooks.steps, strings{"m:d first"});
    EXPECT_EQ(bed_.hooks.ended, bed_.hooks.tickets);
    EXPECT_TRUE(bed_.hooks.asked.empty());
    bed_["c"].send(pingreq()).expect(pingresp());
}

// AUTH has method and data alone, with reason strings switched on or not.
// 5.0:MQTT-4.12.0-2@server 5.0:MQTT-4.12.0-5@server 5.0:MQTT-3.2.0-1@server
// 5.0:MQTT-3.15.2-2@server 5.0:MQTT-3.15.2-3@server
TEST_F(enhanced_authentication, challenges_as_often_as_it_takes) {
    bed_.hooks.replies = {challenge("1"), challenge(""), accepted()};
    peer& c = bed_["c"];
    c.send(connect_m).expect("f0 0a 18 08 15 00 01 'm' 16 00 01 '1'");
    c.send("f0 0a 18 08 15 00 01 'm' 16 00 01 'a'").expect("f0 06 18 04 15 00 01 'm'");
    EXPECT_EQ(bed_.session_of("c1"), nullptr);
    c.send("f0 06 18 04 15 00 01 'm'").expect(accepted_m);
    EXPECT_EQ(bed_.hooks.steps, (strings{"m:d first", "m:a", "m:"}));
    EXPECT_EQ(bed_.hooks.ended.size(), 1U);
    c.send(pingreq()).expect(pingresp());
}

// 5.0:MQTT-4.12.0-1@server
TEST_F(enhanced_authentication, refuses_a_method_nobody_knows) {
    bed_["c"].send(connect_m).expect("20 03 00 8c 00").expect_closed();
    EXPECT_EQ(bed_.hooks.ended.size(), 1U);
}

// 5.0:MQTT-4.12.0-4@server
TEST_F(enhanced_authentication, refuses_at_any_step) {
    bed_.hooks.replies = {refused(reason_code::banned)};
    bed_["a"].send(connect_m).expect("20 03 00 8a 00").expect_closed();
    bed_.hooks.replies = {challenge("1"), refused(reason_code::not_authorized)};
    bed_["b"].send(connect_m).expect("f0 0a 18 08 15 00 01 'm' 16 00 01 '1'");
    bed_["b"].send("f0 06 18 04 15 00 01 'm'").expect("20 03 00 87 00").expect_closed();
    EXPECT_EQ(bed_.core.sessions().size(), 0U);
}

TEST_F(enhanced_authentication, takes_pending_replies_at_every_step) {
    bed_.hooks.replies = {pending, pending};
    peer& c = bed_["c"];
    c.send(connect_m).expect_nothing();
    bed_.advance(20s);
    bed_.reply(0, challenge("1"));
    c.expect("f0 0a 18 08 15 00 01 'm' 16 00 01 '1'");
    c.send("f0 06 18 04 15 00 01 'm'").expect_nothing();
    bed_.reply(1, accepted());
    c.expect(accepted_m).send(pingreq()).expect(pingresp());
    bed_.reply(1, refused(reason_code::banned));  // too late
    c.expect_open();
}

TEST_F(enhanced_authentication, ignores_replies_nobody_waits_for) {
    bed_.hooks.replies = {pending, challenge("1")};
    peer& c = bed_["c"];
    c.send(connect_m);
    bed_.decide(0, true);  // not the answer to this question
    c.expect_nothing();
    bed_.reply(0, challenge("1"));
    c.expect("f0 0a 18 08 15 00 01 'm' 16 00 01 '1'");
    bed_.reply(0, accepted());  // it is the client's turn
    c.expect_nothing();
    c.abort();
    bed_.reply(0, accepted());
    EXPECT_EQ(bed_.core.sessions().size(), 0U);
}

TEST_F(enhanced_authentication, does_not_wait_for_ever) {
    bed_.hooks.replies = {challenge("1"), pending};
    bed_["silent"].send(connect_m).expect("f0 0a 18 08 15 00 01 'm' 16 00 01 '1'");
    bed_["undecided"].send(connect_m);
    bed_.advance(29s);
    bed_["silent"].expect_open();
    bed_["undecided"].expect_open();
    bed_.advance(2s);
    bed_["silent"].expect("20 03 00 87 00").expect_closed();
    bed_["undecided"].expect("20 03 00 87 00").expect_closed();
    EXPECT_EQ(bed_.hooks.ended.size(), 2U);
}

// 5.0:MQTT-3.1.2-30
TEST_F(enhanced_authentication, wants_nothing_else_before_connack) {
    for (const char* other : {"c0 00", "30 04 00 01 't' 00", "82 07 00 01 00 00 01 't' 00"}) {
        bed_.hooks.replies = {challenge("1")};
        peer& c = bed_.reopen("c");
        c.send(connect_m).expect("f0 0a 18 08 15 00 01 'm' 16 00 01 '1'");
        c.send(other).expect("20 03 00 82 00").expect_closed();
    }
    bed_.hooks.replies = {challenge("1")};
    bed_["d"].send(connect_m).take();
    bed_["d"].send(disconnect()).expect_closed();
    EXPECT_EQ(bed_.hooks.ended.size(), 4U);
}

// 5.0:MQTT-4.12.0-5 5.0:MQTT-3.15.2-1
TEST_F(enhanced_authentication, wants_the_same_method_and_the_right_code) {
    for (const char* wrong :
         {"f0 06 18 04 15 00 01 'n'", "f0 02 18 00", "f0 00", "f0 06 19 04 15 00 01 'm'",
          "f0 06 00 04 15 00 01 'm'", "f0 06 87 04 15 00 01 'm'"}) {
        bed_.hooks.replies = {challenge("1")};
        peer& c = bed_.reopen("c");
        c.send(connect_m).expect("f0 0a 18 08 15 00 01 'm' 16 00 01 '1'");
        c.send(wrong).expect("20 03 00 82 00").expect_closed();
    }
}

TEST_F(enhanced_authentication, does_not_process_what_came_behind_a_refused_connect) {
    bed_["c"].send(wire(connect_m) + wire("f0 06 18 04 15 00 01 'm'"));
    bed_["c"].expect("20 03 00 8c 00").expect_closed();
    EXPECT_EQ(bed_.hooks.steps.size(), 1U);
}

TEST_F(enhanced_authentication, takes_what_came_behind_the_last_auth) {
    bed_.hooks.replies = {challenge("1"), pending};
    peer& c = bed_["c"];
    c.send(connect_m).take();
    c.send(wire("f0 06 18 04 15 00 01 'm'") + pingreq()).expect_nothing();
    bed_.reply(1, accepted());
    c.expect(wire(accepted_m) + pingresp());
}

TEST_F(enhanced_authentication, tells_who_the_client_is) {
    bed_.hooks.replies = {{.outcome = outcome::accepted, .user_name = "alice"}};
    bed_["c"].send(connect_m).expect(accepted_m);
    EXPECT_EQ(bed_["c"].core().request->user_name(), "alice");
}

TEST_F(enhanced_authentication, does_not_fit_into_a_small_packet) {
    // Maximum Packet Size 10: AUTH has 12 bytes.
    const std::string_view small =
        "10 1a 00 04 'MQTT' 05 02 00 3c 0d 27 00 00 00 0a 15 00 01 'm' 16 00 01 'd' 00 00";
    bed_.hooks.replies = {challenge("1")};
    bed_["c"].send(small).expect("20 03 00 95 00").expect_closed();
    EXPECT_EQ(bed_.hooks.ended.size(), 1U);
}

// 5.0:MQTT-4.12.1-1@server
TEST_F(enhanced_authentication, is_repeated_while_other_traffic_goes_on) {
    log_in();
    bed_.hooks.replies = {challenge("1"), pending};
    peer& c = bed_["c"];
    c.send("f0 0a 19 08 15 00 01 'm' 16 00 01 'r'").expect("f0 0a 18 08 15 00 01 'm' 16 00 01 '1'");
    c.send("30 05 00 01 't' 00 'x'").expect_open();
    c.send("f0 06 18 04 15 00 01 'm'").expect_nothing();
    c.send(pingreq()).expect(pingresp());
    bed_.reply(2, accepted("ok"));
    c.expect("f0 0b 00 09 15 00 01 'm' 16 00 02 'ok'");
    EXPECT_EQ(bed_.hooks.steps, (strings{"m:d first", "m:r first again", "m: again"}));
    EXPECT_EQ(bed_.hooks.ended.size(), 2U);
    bed_.advance(31s);
    c.expect_open();
}

// 5.0:MQTT-4.12.1-2@server
TEST_F(enhanced_authentication, ends_the_connection_when_repeated_in_vain) {
    bed_["watcher"].login({.client_id = "watcher"}).subscribe("w");
    log_in();
    bed_.hooks.replies = {refused(reason_code::not_authorized)};
    bed_["c"].send("f0 06 19 04 15 00 01 'm'").expect("e0 01 87").expect_closed();
    bed_["watcher"].expect(publish({.topic = "w", .payload = "x"}));
}

TEST_F(enhanced_authentication, repeated_has_its_deadlines) {
    log_in();
    bed_.hooks.replies = {challenge("1")};
    peer& c = bed_["c"];
    c.send("f0 06 19 04 15 00 01 'm'").expect("f0 0a 18 08 15 00 01 'm' 16 00 01 '1'");
    bed_.advance(29s);
    c.send(pingreq()).expect(pingresp());
    bed_.advance(2s);
    c.expect("e0 01 87").expect_closed();

    peer& d = bed_.reopen("c");
    bed_.hooks.replies = {accepted(), pending};
    d.send(connect_m).expect(accepted_m);
    d.send("f0 06 19 04 15 00 01 'm'").expect_nothing();
    bed_.advance(31s);
    d.expect("e0 01 87").expect_closed();
    bed_.reply(3, accepted());
}

// 5.0:MQTT-4.12.1-1@server
TEST_F(enhanced_authentication, repeated_wants_the_same_method_and_its_turn) {
    for (const char* wrong : {"f0 06 19 04 15 00 01 'n'", "f0 02 19 00", "f0 06 18 04 15 00 01 'm'",
                              "f0 06 00 04 15 00 01 'm'"}) {
        bed_.hooks.replies = {accepted()};
        peer& c = bed_.reopen("c");
        c.send(connect_m).expect(accepted_m);
        c.send(wrong).expect("e0 01 82").expect_closed();
    }
    bed_.hooks.replies = {accepted(), pending};
    peer& c = bed_.reopen("c");
    c.send(connect_m).expect(accepted_m);
    c.send("f0 06 19 04 15 00 01 'm'").send("f0 06 19 04 15 00 01 'm'").expect("e0 01 82");
    c.expect_closed();
    EXPECT_EQ(bed_.hooks.ended.size(), 6U);
}

TEST(enhanced_authentication_reasons, are_told_when_there_is_room) {
    broker_bed bed({.reason_strings = true});
    bed.hooks.replies = {refused(reason_code::not_authorized, "expired")};
    bed["a"].send(connect_m).expect("20 0d 00 87 0a 1f 00 07 'expired'").expect_closed();
    bed.hooks.replies = {refused(reason_code::not_authorized, "expired")};
    bed["b"].send(
        "10 1a 00 04 'MQTT' 05 02 00 3c 0d 27 00 00 00 0e 15 00 01 'm' 16 00 01 'd' 00 00");
    bed["b"].expect("20 03 00 87 00").expect_closed();
    bed.hooks.replies = {challenge("1")};
    bed["c"].send(connect_m).expect("f0 0a 18 08 15 00 01 'm' 16 00 01 '1'");
}

TEST(enhanced_authentication_end, comes_with_the_broker) {
    broker_bed bed;
    bed.hooks.replies = {challenge("1"), pending};
    bed["a"].send(connect_m).take();
    bed["b"].send(connect_m).take();
    bed.shutdown();
    bed["a"].expect_closed();
    bed["b"].expect_closed();
    EXPECT_EQ(bed.hooks.ended.size(), 2U);
}

}  // namespace
}  // namespace amqtt::test
