#include "policy/packaged_policy.hpp"

#include <gtest/gtest.h>

namespace amqtt::test {
namespace {

connect_request request_of(std::optional<std::string_view> user_name) {
    connect_packet packet;
    packet.client_id = "c";
    packet.user_name = user_name;
    return connect_request(packet);
}

TEST(packaged_policy, has_no_opinion_without_plugins) {
    const packaged_policy policy{policy_settings{}};
    session s("c", {});
    EXPECT_EQ(policy.authenticate(request_of("u")), opinion::none);
    EXPECT_FALSE(policy.checks_topics());
    EXPECT_EQ(policy.check_topic(s, topic_action::publish, "prohibited"), opinion::none);
}

TEST(packaged_policy, admits_everyone) {
    policy_settings settings;
    settings.authenticate_anonymous = true;
    const packaged_policy policy(settings);
    EXPECT_EQ(policy.authenticate(request_of(std::nullopt)), opinion::allow);
    EXPECT_EQ(policy.authenticate(request_of("u")), opinion::allow);
}

TEST(packaged_policy, can_want_a_user_name) {
    policy_settings settings;
    settings.authenticate_anonymous = true;
    settings.allow_anonymous = false;
    const packaged_policy policy(settings);
    EXPECT_EQ(policy.authenticate(request_of(std::nullopt)), opinion::deny);
    EXPECT_EQ(policy.authenticate(request_of("")), opinion::deny);
    EXPECT_EQ(policy.authenticate(request_of("u")), opinion::allow);
}

TEST(packaged_policy, wants_every_topic_plugin_to_agree) {
    policy_settings settings;
    settings.taboo = true;
    settings.acl.emplace();
    settings.acl->publish.emplace();
    (*settings.acl->publish)["anonymous"] = {"a/#", "prohibited"};
    const packaged_policy policy(settings);
    session s("c", {});
    EXPECT_TRUE(policy.checks_topics());
    EXPECT_EQ(policy.check_topic(s, topic_action::publish, "a/b"), opinion::allow);
    EXPECT_EQ(policy.check_topic(s, topic_action::publish, "b"), opinion::deny);
    EXPECT_EQ(policy.check_topic(s, topic_action::publish, "prohibited"), opinion::deny);
}

}  // namespace
}  // namespace amqtt::test
