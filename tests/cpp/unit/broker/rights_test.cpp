// What a session was allowed, and is not any more: its subscriptions, and messages that wait.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "support/durable_bed.hpp"

namespace amqtt::test {
namespace {

using strings = std::vector<std::string>;

const connect_spec s{.client_id = "s", .clean = false};

// Refuses, leaves open or allows questions by how they end.
struct changing_policy {
    strings refused;
    strings open;

    verdict operator()(std::string_view question) const {
        const auto any = [&](const strings& list) {
            return std::any_of(list.begin(), list.end(),
                               [&](const auto& each) { return question.ends_with(each); });
        };
        return any(refused) ? verdict::deny : any(open) ? verdict::pending : verdict::allow;
    }
};

class withdrawn_rights : public testing::Test {
  protected:
    withdrawn_rights() {
        use({});
        bed_.hooks.want({hook::check_subscribe, hook::check_receive, hook::client_unsubscribed});
    }
    ~withdrawn_rights() override { bed_.expect_consistent(); }

    void use(changing_policy policy) { bed_.hooks.judge_topic = std::move(policy); }
    void answer(std::size_t n, verdict made) {
        bed_.core.decide_topic(bed_.hooks.topic_tickets.at(n), {made}, bed_.now);
        bed_.settle_now();
    }
    void leave(const strings& filters) {
        bed_["s"].login(s);
        for (const std::string& filter : filters)
            bed_["s"].subscribe(filter, 2);
        bed_["s"].send(disconnect()).expect_closed();
        bed_["s"].abort();
    }
    void send(std::string_view topic, qos level = qos::at_least_once) {
        bed_.publish(topic, "x", level);
    }
    peer& back() { return bed_.reopen("s").login(s, true); }
    bytes message(std::string topic, unsigned id) {
        return publish({.topic = std::move(topic), .payload = "x", .level = 1, .packet_id = id});
    }

    broker_bed bed_;
};

TEST_F(withdrawn_rights, are_known_for_what_waited_while_the_client_was_away) {
    leave({"#"});
    for (const char* topic : {"a", "secret", "b"})
        send(topic);
    use({.refused = {"receive secret"}});
    back().expect(message("a", 1)).expect(message("b", 2)).expect_nothing();
    EXPECT_EQ(bed_.hooks.logs_with("not allowed to receive"), 1U);
}

TEST_F(withdrawn_rights, are_asked_for_one_message_after_the_other) {
    leave({"#"});
    for (const char* topic : {"a", "b", "a", "c"})
        send(topic);
    use({.open = {"receive a", "receive b"}});
    peer& c = back();
    c.expect_nothing();
    send("d");  // waits behind them
    EXPECT_EQ(bed_.hooks.topics, strings{"s receive a"});
    answer(0, verdict::allow);
    c.expect(message("a", 1)).expect_nothing();
    answer(1, verdict::deny);
    c.expect_nothing();
    answer(2, verdict::allow);
    c.expect(message("a", 2)).expect(message("c", 3)).expect(message("d", 4)).expect_nothing();
}

TEST_F(withdrawn_rights, are_asked_again_when_the_client_has_gone_meanwhile) {
    leave({"#"});
    send("a");
    use({.open = {"receive a"}});
    back().send(disconnect()).expect_closed();
    answer(0, verdict::allow);
    bed_["s"].abort();
    back();
    EXPECT_EQ(bed_.hooks.topics.size(), 2U);
    answer(1, verdict::deny);
    bed_["s"].expect_nothing();
    EXPECT_EQ(bed_.queued("s"), 0U);
}

TEST_F(withdrawn_rights, are_asked_again_for_subscriptions_of_another_login) {
    leave({"#"});
    send("a");
    use({.open = {"subscribe #"}});
    bed_.core.rights_changed({});
    back();
    back();
    EXPECT_EQ(bed_.hooks.topics, (strings{"s subscribe #", "s subscribe #"}));
    answer(0, verdict::deny);  // which was about the login before
    bed_["s"].expect_nothing();
    answer(1, verdict::allow);
    bed_["s"].expect(message("a", 1));
}

TEST_F(withdrawn_rights, may_end_with_the_session_before_they_are_answered) {
    leave({"#"});
    send("a");
    use({.open = {"receive a", "subscribe #"}});
    bed_.core.rights_changed({});
    back();
    EXPECT_EQ(bed_.hooks.topics, strings{"s subscribe #"});
    bed_.reopen("s").login({.client_id = "s"});
    answer(0, verdict::deny);
    bed_["s"].expect_open();
}

TEST_F(withdrawn_rights, are_checked_for_a_slow_client_when_they_have_changed) {
    bed_["s"].login(s).subscribe("#", 1);
    bed_["s"].stop_reading();
    const std::string large(300'000, 'x');
    bed_.publish("a", large, qos::at_least_once);
    for (const char* topic : {"secret", "b"})
        send(topic);
    ASSERT_EQ(bed_.queued("s"), 2U);
    use({.refused = {"receive secret"}});
    bed_.core.rights_changed({});
    bed_["s"].read_on();
    bed_["s"]
        .expect(publish({.topic = "a", .payload = large, .level = 1, .packet_id = 1}))
        .expect(message("b", 2))
        .expect_nothing();
}

TEST_F(withdrawn_rights, end_what_is_in_flight) {
    bed_["s"].login(s).subscribe("#", 2);
    send("secret");
    send("secret", qos::exactly_once);
    send("b");
    bed_["s"].take();
    bed_["s"].abort();
    use({.refused = {"receive secret"}});
    // PUBREL, so that the client forgets the identifier if it has it.
    peer& c = back();
    c.expect(pubrel(2));
    c.expect(publish({.topic = "b", .payload = "x", .level = 1, .packet_id = 3, .dup = true}));
    c.expect_nothing();
    c.send(pubcomp(2) + puback(3));
    EXPECT_TRUE(bed_.session_of("s")->inflight().empty());
}

TEST_F(withdrawn_rights, end_subscriptions_when_the_client_is_back) {
    leave({"a/#", "b"});
    for (const char* topic : {"a/1", "b", "a/2"})
        send(topic);
    use({.refused = {"subscribe a/#"}});
    bed_.core.rights_changed({});
    back().expect(message("b", 1)).expect_nothing();
    EXPECT_EQ(bed_.session_of("s")->subscriptions().size(), 1U);
    EXPECT_EQ(bed_.hooks.logs_with("client 's' lost its subscription to 'a/#'"), 1U);
    send("a/3");
    bed_["s"].expect_nothing();
}

TEST_F(withdrawn_rights, leave_what_another_subscription_wants) {
    leave({"a/#", "a/1"});
    for (const char* topic : {"a/1", "a/2"})
        send(topic);
    use({.refused = {"subscribe a/#"}});
    bed_.core.rights_changed("s");
    back().expect(message("a/1", 1)).expect_nothing();
}

TEST_F(withdrawn_rights, hold_the_queue_until_subscriptions_are_decided) {
    leave({"a", "b"});
    for (const char* topic : {"a", "b"})
        send(topic);
    use({.open = {"subscribe a", "subscribe b"}});
    bed_.core.rights_changed({});
    peer& c = back();
    c.expect_nothing();
    ASSERT_EQ(bed_.hooks.topics.size(), 2U);
    const bool a_first = bed_.hooks.topics[0].ends_with("a");
    answer(a_first ? 0 : 1, verdict::deny);
    c.expect_nothing();
    answer(a_first ? 1 : 0, verdict::allow);
    c.expect(message("b", 1)).expect_nothing();
    EXPECT_EQ(bed_.session_of("s")->subscriptions().size(), 1U);
}

TEST_F(withdrawn_rights, are_asked_about_anew_for_the_next_connection) {
    leave({"a"});
    send("a");
    use({.open = {"subscribe a"}});
    bed_.core.rights_changed({});
    back().expect_nothing();
    back().expect_nothing();
    ASSERT_EQ(bed_.hooks.topics.size(), 2U);
    answer(0, verdict::deny);
    EXPECT_EQ(bed_.session_of("s")->subscriptions().size(), 1U);
    answer(1, verdict::allow);
    bed_["s"].expect(message("a", 1));
}

TEST_F(withdrawn_rights, that_cannot_be_asked_about_end_the_connection_only) {
    leave({"a", "b"});
    send("a");
    use({.refused = {"subscribe a", "subscribe b"}});
    bed_.hooks.refusal = reason_code::quota_exceeded;
    bed_.core.rights_changed({});
    bed_.reopen("s").send(connect(s)).expect(connack(true)).expect_closed();
    EXPECT_EQ(bed_.session_of("s")->subscriptions().size(), 2U);
    use({});
    back().expect(message("a", 1));
}

TEST_F(withdrawn_rights, are_not_asked_about_when_nothing_has_changed) {
    leave({"a"});
    use({.refused = {"subscribe a"}});
    back();
    EXPECT_EQ(bed_.session_of("s")->subscriptions().size(), 1U);
}

TEST_F(withdrawn_rights, hand_messages_of_shared_subscriptions_over) {
    leave({"$share/g/a"});
    send("a");
    bed_["t"].login({.client_id = "t"}).subscribe("$share/g/a", 1);
    EXPECT_EQ(bed_.queued("s"), 1U);
    EXPECT_TRUE(bed_.core.revoke(*bed_.session_of("s"), "$share/g/a"));
    EXPECT_FALSE(bed_.core.revoke(*bed_.session_of("s"), "$share/g/a"));
    bed_.settle_now();
    EXPECT_EQ(bed_.queued("s"), 0U);
    bed_["t"].expect(message("a", 1));
}

struct narrowed : durable_bed {
    void narrow(changing_policy policy) {
        crash();
        bed->hooks.judge_topic = std::move(policy);
        bed->hooks.want({hook::check_subscribe, hook::check_receive});
    }
};

TEST_F(narrowed, table_holds_for_what_was_stored) {
    leave_subscriber();
    bed->publish("t/1", "x", qos::at_least_once);
    bed->commit_all();
    narrow({.refused = {"subscribe t/#"}});
    at("s").login(keeper, true);
    bed->commit_all();
    at("s").expect_nothing();
    EXPECT_TRUE(store.subscriptions.empty());
    EXPECT_TRUE(store.deliveries.empty());
    EXPECT_TRUE(store.messages.empty());
    crash();
    at("s").login(keeper, true);
    EXPECT_TRUE(bed->session_of("s")->subscriptions().empty());
}

TEST_F(narrowed, rights_to_receive_hold_for_what_was_stored) {
    leave_subscriber();
    for (const char* topic : {"t/secret", "t/1"})
        bed->publish(topic, "x", qos::at_least_once);
    bed->commit_all();
    narrow({.refused = {"receive t/secret"}});
    at("s").login(keeper, true);
    bed->commit_all();
    at("s")
        .expect(publish({.topic = "t/1", .payload = "x", .level = 1, .packet_id = 1}))
        .expect_nothing();
    EXPECT_EQ(store.deliveries.size(), 1U);
}

}  // namespace
}  // namespace amqtt::test
