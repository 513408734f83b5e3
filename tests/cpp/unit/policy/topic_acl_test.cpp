#include "policy/topic_acl.hpp"

#include <gtest/gtest.h>

namespace amqtt::test {
namespace {

struct cover_case {
    const char* allowed;
    const char* requested;
    bool covered;
};

class covering : public testing::TestWithParam<cover_case> {};

TEST_P(covering, follows_the_levels) {
    const cover_case& c = GetParam();
    EXPECT_EQ(covers(c.allowed, c.requested), c.covered) << c.allowed << " over " << c.requested;
}

INSTANTIATE_TEST_SUITE_P(
    acl, covering,
    testing::Values(cover_case{"a/b", "a/b", true}, cover_case{"a/b", "a", false},
                    cover_case{"a", "a/b", false}, cover_case{"a/+", "a/b", true},
                    cover_case{"a/+", "a/+", true}, cover_case{"a/+", "a/#", false},
                    cover_case{"a/+", "a", false}, cover_case{"a/+", "a/b/c", false},
                    cover_case{"a/b", "a/+", false}, cover_case{"a/#", "a", true},
                    cover_case{"a/#", "a/b/c", true}, cover_case{"a/#", "a/#", true},
                    cover_case{"a/#", "a/+/c", true}, cover_case{"a/#", "b", false},
                    cover_case{"a/#", "#", false}, cover_case{"#", "#", true},
                    cover_case{"#", "a/b", true}, cover_case{"#", "$SYS/x", false},
                    cover_case{"+/x", "$SYS/x", false}, cover_case{"$SYS/#", "$SYS/x", true},
                    cover_case{"+", "", true}, cover_case{"a/", "a/", true},
                    cover_case{"a/+", "a/", true}, cover_case{"+/+", "/", true}));

acl_table table_of(std::string user, std::vector<std::string> filters) {
    acl_table table(std::in_place);
    table->emplace(std::move(user), std::move(filters));
    return table;
}

TEST(topic_acl, allows_everything_without_a_table) {
    session s("c", {});
    const acl_settings settings;
    EXPECT_EQ(check_acl(settings, s, topic_action::publish, "a"), opinion::allow);
    EXPECT_EQ(check_acl(settings, s, topic_action::subscribe, "#"), opinion::allow);
    EXPECT_EQ(check_acl(settings, s, topic_action::receive, "a"), opinion::allow);
}

TEST(topic_acl, has_a_table_for_each_action) {
    session s("c", {});
    s.user_name = "u";
    acl_settings settings;
    settings.publish = table_of("u", {"p"});
    settings.subscribe = table_of("u", {"s"});
    settings.receive = table_of("u", {"r"});
    EXPECT_EQ(check_acl(settings, s, topic_action::publish, "p"), opinion::allow);
    EXPECT_EQ(check_acl(settings, s, topic_action::publish, "s"), opinion::deny);
    EXPECT_EQ(check_acl(settings, s, topic_action::subscribe, "s"), opinion::allow);
    EXPECT_EQ(check_acl(settings, s, topic_action::subscribe, "r"), opinion::deny);
    EXPECT_EQ(check_acl(settings, s, topic_action::receive, "r"), opinion::allow);
    EXPECT_EQ(check_acl(settings, s, topic_action::receive, "p"), opinion::deny);
}

TEST(topic_acl, knows_clients_without_a_name_as_anonymous) {
    session s("c", {});
    acl_settings settings;
    settings.publish = table_of("anonymous", {"a"});
    EXPECT_EQ(check_acl(settings, s, topic_action::publish, "a"), opinion::allow);
    s.user_name = "u";
    EXPECT_EQ(check_acl(settings, s, topic_action::publish, "a"), opinion::deny);
}

TEST(topic_taboo, is_lifted_for_the_administrator) {
    session s("c", {});
    for (const char* topic : {"prohibited", "top-secret", "data/classified"}) {
        s.user_name = "u";
        EXPECT_EQ(check_taboo(s, topic), opinion::deny);
        s.user_name = "admin";
        EXPECT_EQ(check_taboo(s, topic), opinion::allow);
    }
    s.user_name.reset();
    EXPECT_EQ(check_taboo(s, "#"), opinion::allow);
}

}  // namespace
}  // namespace amqtt::test
