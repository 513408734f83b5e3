// A session is its user's: who else has its Client Identifier neither resumes nor ends it.
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/durable_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;
using strings = std::vector<std::string>;

connect_spec as(std::string user, bool clean = false) {
    return {.client_id = "s", .clean = clean, .user_name = std::move(user)};
}

// CONNECT and CONNACK of 5.0: client s of user u.
const bytes bob_v5 = wire("10 13 00 04 'MQTT' 05 82 00 00 00 00 01 's' 00 03 'bob'");

class session_owner : public testing::Test {
  protected:
    ~session_owner() override { bed_.expect_consistent(); }

    // A session of alice with a message that waits.
    void leave_session() {
        bed_["alice"].login(as("alice")).subscribe("t", 1).send(disconnect());
        bed_.publish("t", "for alice", qos::at_least_once);
    }
    void expect_alice_has_it() {
        bed_["again"].login(as("alice"), true);
        bed_["again"].expect(
            publish({.topic = "t", .payload = "for alice", .level = 1, .packet_id = 1}));
    }

    broker_bed bed_;
};

TEST_F(session_owner, alone_resumes_it) {
    leave_session();
    bed_["bob"].send(connect(as("bob"))).expect(connack(false, 2)).expect_closed();
    bed_["nobody"].send(connect(as(""))).expect(connack(false, 2)).expect_closed();
    expect_alice_has_it();
}

TEST_F(session_owner, alone_ends_it_by_clean_start) {
    leave_session();
    bed_["bob"].send(connect(as("bob", true))).expect(connack(false, 2)).expect_closed();
    bed_["v5"].send(bob_v5).expect("20 03 00 85 00").expect_closed();
    expect_alice_has_it();
    bed_["clean"].login(as("alice", true));
    EXPECT_EQ(bed_.session_of("s")->subscriptions().size(), 0U);
}

TEST_F(session_owner, alone_takes_over_its_connection) {
    bed_["watch"].login({.client_id = "watch"}).subscribe("w");
    connect_spec owner = as("alice");
    owner.will = {{"w", "gone"}};
    bed_["alice"].login(owner).subscribe("t", 1);
    bed_["bob"].send(connect(as("bob"))).expect(connack(false, 2)).expect_closed();
    bed_["alice"].expect_open();
    bed_["alice"].send(pingreq()).expect(pingresp());
    bed_["watch"].expect_nothing();
    bed_["alice 2"].login(as("alice"), true);
    bed_["alice"].expect_closed();
}

TEST_F(session_owner, is_asked_before_the_old_connection_is_looked_at) {
    bed_["alice"].login(as("alice"));
    bed_["alice"].lag();
    bed_["bob"].send(connect(as("bob"))).expect(connack(false, 2)).expect_closed();
    EXPECT_FALSE(bed_["alice"].is_asked_to_catch_up());
}

TEST_F(session_owner, may_have_changed_while_a_connection_was_waited_for) {
    bed_["first"].login(as("alice", true));
    bed_["first"].lag();
    bed_["second"].send(connect(as("alice", true)));
    bed_["third"].send(connect(as("alice", true)));
    // The session ends with the connection, and an application's connection is waited for.
    bed_["first"].abort();
    bed_["third"].expect(connack());
    bed_["second"].expect(connack());
    bed_["bob"].send(connect(as("bob", true))).expect(connack(false, 2)).expect_closed();
}

TEST_F(session_owner, of_clients_without_user_name_is_one) {
    bed_["a"].login(as("")).send(disconnect());
    bed_["bob"].send(connect(as("bob"))).expect(connack(false, 2)).expect_closed();
    bed_["b"].login(as(""), true);
    // The flag is set, and the name is empty.
    bed_["c"].send("10 0f 00 04 'MQTT' 04 80 00 00 00 01 's' 00 00").expect(connack(true));
}

TEST_F(session_owner, is_who_comes_first_to_a_session_of_the_application) {
    ASSERT_NE(bed_.core.create_session("s"), nullptr);
    bed_["bob"].login(as("bob"), true);
    bed_["alice"].send(connect(as("alice"))).expect(connack(false, 2)).expect_closed();
}

TEST_F(session_owner, loses_it_when_it_ends) {
    leave_session();
    bed_["alice"].abort();
    bed_["again"].login(as("alice", true)).send(disconnect());
    bed_["bob"].login(as("bob"));
}

TEST_F(session_owner, is_whom_authentication_has_found) {
    leave_session();
    bed_.hooks.answer = verdict::pending;
    bed_["bob"].send(connect(as("alice")));
    bed_.core.decide(bed_.hooks.tickets.back(), {verdict::allow}, bed_.now, "bob");
    bed_.settle_now();
    bed_["bob"].expect(connack(false, 2)).expect_closed();
    bed_["alice 2"].send(connect(as("device 7")));
    bed_.core.decide(bed_.hooks.tickets.back(), {verdict::allow}, bed_.now, "alice");
    bed_.settle_now();
    bed_["alice 2"].expect(connack(true));
}

TEST_F(session_owner, is_told_with_a_bounded_number_of_lines) {
    leave_session();
    for (int i = 0; i < 50; ++i)
        bed_.reopen("bob").send(connect(as("b\nob"))).expect(connack(false, 2));
    EXPECT_EQ(
        bed_.hooks.logs_with("the session of client 's' is another user's: it belongs to user "
                             "'alice', and user 'b\\x0aob' is refused"),
        1U);
    bed_.advance(11s);
    EXPECT_EQ(bed_.hooks.logs_with("(and 49 more in the last"), 1U);
}

TEST(sessions_without_owners, are_for_whoever_has_the_identifier) {
    broker_bed bed({.sessions_have_owners = false});
    bed["alice"].login(as("alice")).subscribe("t", 1);
    bed["bob"].login(as("bob"), true);
    bed["alice"].expect_closed();
    EXPECT_EQ(bed.session_of("s")->user_name, "bob");
}

// -- who authenticates again

class owner_again : public testing::TestWithParam<bool> {
  protected:
    owner_again() : bed_({.sessions_have_owners = GetParam()}) {
        bed_.hooks.replies = {
            {.outcome = authentication_outcome::accepted, .user_name = "alice"},
            {.outcome = authentication_outcome::accepted, .user_name = "alice"},
            {.outcome = authentication_outcome::accepted, .user_name = "bob"},
        };
        // With Authentication Method m.
        bed_["c"].send("10 12 00 04 'MQTT' 05 02 00 00 04 15 00 01 'm' 00 01 'c'").take();
        bed_["c"].send(again).take();
        bed_["c"].expect_open();
    }
    ~owner_again() override { bed_.expect_consistent(); }

    const bytes again = wire("f0 06 19 04 15 00 01 'm'");
    broker_bed bed_;
};

TEST_P(owner_again, is_the_same) {
    bed_["c"].send(again);
    if (GetParam()) {
        bed_["c"].expect("e0 01 87").expect_closed();
        EXPECT_EQ(bed_.hooks.changed_users, strings{});
    } else {
        bed_["c"].expect("f0 06 00 04 15 00 01 'm'").expect_open();
        EXPECT_EQ(bed_.hooks.changed_users, strings{"c bob"});
        EXPECT_EQ(bed_.session_of("c")->user_name, "bob");
    }
}

INSTANTIATE_TEST_SUITE_P(with_and_without_owners, owner_again, testing::Bool());

// -- in the store

TEST_F(durable_bed, knows_whose_a_session_is) {
    for (const char* user : {"alice", ""}) {
        at(std::string("first ") + user).send(connect(as(user)));
        bed->commit_all();
        crash();
        at("bob").send(connect(as("bob"))).expect(connack(false, 2)).expect_closed();
        at("owner").send(connect(as(user, true)));
        bed->commit_all();
        at("owner").expect(connack());
        at("owner").send(disconnect());
        bed->commit_all();
    }
}

TEST_F(durable_bed, gives_a_session_that_was_nobodys_to_who_comes_first) {
    bed->core.create_session("s");
    bed->commit_all();
    EXPECT_EQ(store.sessions.begin()->second.user_name, std::nullopt);
    crash();
    at("bob").send(connect(as("bob")));
    bed->commit_all();
    at("bob").expect(connack(true));
    EXPECT_EQ(store.sessions.begin()->second.user_name, "bob");
    at("alice").send(connect(as("alice"))).expect(connack(false, 2));
}

}  // namespace
}  // namespace amqtt::test
