// A client is back before the last packets of its old connection have arrived.
#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;
using texts = std::vector<std::string>;

std::string text_of(const bytes& data) {
    return std::string(as_text(data));
}

// "watch" sees what is published; "old" is client x with a will, and its packets lag.
class succession : public ::testing::TestWithParam<bool> {
  protected:
    succession() {
        bed["watch"].login({.client_id = "watch"}).subscribe("#", 1);
        bed["old"].login(x);
        bed["old"].lag();
        bed.hooks.events.clear();
    }

    broker_bed bed;
    // With a session that ends with the connection, and with one that does not.
    const connect_spec x{
        .client_id = "x", .clean = GetParam(), .will = {{"w", "must not be published"}}};
    const bool resumes = !GetParam();
};

TEST_P(succession, disconnect_under_way_is_no_take_over) {
    bed["old"].send(publish({.topic = "t", .payload = "1"}) + disconnect());
    bed["new"].send(connect(x) + publish({.topic = "t", .payload = "2"}));
    EXPECT_TRUE(bed["old"].is_asked_to_catch_up());
    bed["new"].expect_nothing();
    bed["watch"].expect_nothing();
    bed["old"].arrive().expect_closed();
    bed["new"].expect(connack(resumes)).expect_open();
    bed["watch"]
        .expect(publish({.topic = "t", .payload = "1"}))
        .expect(publish({.topic = "t", .payload = "2"}))
        .expect_nothing();
    EXPECT_EQ(bed.hooks.events, (texts{"disconnected x", "connected x"}));
    EXPECT_EQ(bed.hooks.reasons.back(), reason_code::success);
    EXPECT_EQ(bed.hooks.logs_with("taken over"), 0U);
    bed.expect_consistent();
}

TEST_P(succession, without_disconnect_is_a_take_over_after_all_packets) {
    bed["old"].send(publish({.topic = "t", .payload = "1"}));
    bed["new"].send(connect(x));
    bed["old"].arrive().expect_closed();
    bed["new"].expect(connack(resumes));
    bed["watch"]
        .expect(publish({.topic = "t", .payload = "1"}))
        .expect(publish({.topic = "w", .payload = "must not be published"}))
        .expect_nothing();
    EXPECT_EQ(bed.hooks.reasons.back(), reason_code::session_taken_over);
    bed.expect_consistent();
}

TEST_P(succession, end_of_the_old_connection_is_waited_for_likewise) {
    bed["new"].send(connect(x));
    bed["old"].abort();
    bed["new"].expect(connack(resumes));
    EXPECT_EQ(bed.hooks.reasons.back(), reason_code::unspecified_error);
    bed.expect_consistent();
}

TEST_P(succession, has_a_limit) {
    bed["new"].send(connect(x));
    bed.advance(900ms);
    bed["new"].expect_nothing();
    bed.advance(200ms);
    bed["new"].expect(connack(resumes));
    bed["old"].expect_closed();
    EXPECT_EQ(bed.hooks.reasons.back(), reason_code::session_taken_over);
    bed.expect_consistent();
}

TEST_P(succession, others_do_not_wait) {
    bed["new"].send(connect(x));
    bed["other"].login({.client_id = "other"}).send(publish({.topic = "t", .payload = "p"}));
    bed["watch"].expect(publish({.topic = "t", .payload = "p"}));
    bed["new"].expect_nothing();
}

TEST_P(succession, of_several_goes_in_the_order_of_their_coming) {
    bed["old"].send(disconnect());
    bed["2"].send(connect(x));
    bed["3"].send(connect(x));
    bed["2"].expect_nothing();
    bed["3"].expect_nothing();
    bed["old"].arrive();
    bed["2"].expect(connack(resumes)).expect_closed();
    bed["3"].expect(connack(resumes)).expect_open();
    bed.expect_consistent();
}

TEST_P(succession, one_that_waits_may_go) {
    bed["2"].send(connect(x));
    bed["3"].send(connect(x));
    bed["2"].abort();
    bed["old"].send(disconnect()).arrive();
    bed["3"].expect(connack(resumes));
    EXPECT_EQ(bed.hooks.events, (texts{"disconnected x", "connected x"}));
    bed.expect_consistent();
}

TEST_P(succession, nobody_may_be_left_when_it_catches_up) {
    bed["new"].send(connect(x));
    bed["new"].abort();
    bed["old"].arrive().expect_open();
    bed["watch"].expect_nothing();
    bed.expect_consistent();
}

TEST_P(succession, ends_with_the_broker) {
    bed["new"].send(connect(x));
    bed.shutdown();
    bed["new"].expect_closed();
    bed["old"].expect_closed();
    EXPECT_EQ(bed.core.stats().clients_connected, 0U);
}

TEST_P(succession, answer_that_comes_too_late_changes_nothing) {
    bed["new"].send(connect(x));
    bed.advance(2s);
    bed["new"].expect(connack(resumes));
    bed["old"].arrive();
    bed["new"].expect_open();
    bed.expect_consistent();
}

INSTANTIATE_TEST_SUITE_P(of, succession, ::testing::Bool(), [](const auto& each) {
    return each.param ? "ending_session" : "lasting_session";
});

TEST(succession_of_enhanced_authentication, keeps_what_connack_is_to_say) {
    broker_bed bed;
    const auto data_of = [&](const std::string& name) {
        bed.hooks.replies.push_back({.outcome = authentication_outcome::accepted, .data = "proof"});
        bed[name].send("10 1a 00 04 'MQTT' 05 02 00 00 0b 15 00 01 'm' 16 00 04 'data' 00 02 'c1'");
        return text_of(bed[name].take());
    };
    const std::string direct = data_of("old");
    ASSERT_NE(direct.find("proof"), std::string::npos);
    bed["old"].lag();
    EXPECT_EQ(data_of("new"), "");
    bed["old"].arrive();
    EXPECT_EQ(text_of(bed["new"].take()), direct);
}

}  // namespace
}  // namespace amqtt::test
