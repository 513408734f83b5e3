#include "policy/packaged_policy.hpp"

#include <gtest/gtest.h>

#include "base/output_queue.hpp"
#include "support/fakes.hpp"

namespace amqtt::test {
namespace {

class packaged_policy_test : public testing::Test {
  protected:
    packaged_policy make(const policy_settings& settings) {
        return {settings, [this](log_record record) { records_.push_back(std::move(record)); }};
    }

    client& named(std::string_view user_name, bool has_user_name = true) {
        connect_packet packet;
        packet.client_id = "c";
        if (has_user_name) packet.user_name = user_name;
        client_.request.emplace(packet);
        return client_;
    }
    client& unnamed() { return named("", false); }

    std::vector<log_record> records_;
    block_pool pool_;
    fake_link link_;
    broker_settings settings_;
    client client_{link_, {"192.0.2.1", 1, "l"}, settings_, pool_};
};

TEST_F(packaged_policy_test, admits_everyone_by_default) {
    packaged_policy policy = make({});
    EXPECT_EQ(policy.authenticate(unnamed(), 1), verdict::allow);
    EXPECT_EQ(policy.authenticate(named("u"), 2), verdict::allow);
}

TEST_F(packaged_policy_test, can_want_a_user_name) {
    policy_settings settings;
    settings.allow_anonymous = false;
    packaged_policy policy = make(settings);
    EXPECT_EQ(policy.authenticate(unnamed(), 1), verdict::deny);
    EXPECT_EQ(policy.authenticate(named(""), 2), verdict::deny);
    EXPECT_EQ(policy.authenticate(named("u"), 3), verdict::allow);
}

TEST_F(packaged_policy_test, admits_nobody_without_an_authentication_plugin) {
    policy_settings settings;
    settings.authenticate_anonymous = false;
    packaged_policy policy = make(settings);
    EXPECT_EQ(policy.authenticate(unnamed(), 1), verdict::deny);
    EXPECT_EQ(policy.authenticate(named("u"), 2), verdict::deny);
}

TEST_F(packaged_policy_test, logs_events) {
    packaged_policy policy = make({});
    EXPECT_TRUE(policy.wants(hook::client_connected));
    EXPECT_TRUE(policy.wants(hook::client_disconnected));
    policy.client_connected(unnamed());
    policy.client_disconnected(unnamed(), reason_code::success);
    ASSERT_EQ(records_.size(), 2U);
    EXPECT_EQ(records_[0].level, log_level::info);
    EXPECT_EQ(records_[0].logger, "amqtt.broker.plugins.EventLoggerPlugin");
    EXPECT_EQ(records_[0].text, "### 'on_broker_client_connected' EVENT FIRED ###");
    EXPECT_EQ(records_[1].text, "### 'on_broker_client_disconnected' EVENT FIRED ###");
}

TEST_F(packaged_policy_test, wants_no_events_without_a_plugin_for_them) {
    policy_settings settings;
    settings.event_log = false;
    packaged_policy policy = make(settings);
    EXPECT_FALSE(policy.wants(hook::client_connected));
    EXPECT_FALSE(policy.wants(hook::client_disconnected));
}

TEST_F(packaged_policy_test, passes_the_log_on) {
    packaged_policy policy = make({});
    policy.log(log_level::warning, "text");
    ASSERT_EQ(records_.size(), 1U);
    EXPECT_EQ(records_[0].level, log_level::warning);
    EXPECT_EQ(records_[0].logger, "amqtt.broker");
    EXPECT_EQ(records_[0].text, "text");
}

}  // namespace
}  // namespace amqtt::test
