#include "session/session.hpp"

#include <gtest/gtest.h>

namespace amqtt {
namespace {

TEST(Session, StartsWithoutState) {
    session s("client", {.messages = 1, .bytes = 10});
    EXPECT_EQ(s.client_id(), "client");
    EXPECT_TRUE(s.subscriptions().empty());
    EXPECT_TRUE(s.inflight().empty());
    EXPECT_TRUE(s.queue().empty());
    EXPECT_TRUE(s.received_qos2().empty());
    EXPECT_EQ(s.connection, nullptr);
    EXPECT_FALSE(s.away);
}

TEST(Session, EndsWithItsConnectionUnlessItHasAnExpiryInterval) {
    session s("client", {});
    EXPECT_TRUE(s.ends_with_connection());
    s.expiry_interval = 1;
    EXPECT_FALSE(s.ends_with_connection());
    s.expiry_interval = never_expires;
    EXPECT_FALSE(s.ends_with_connection());
}

TEST(Session, BoundsItsQueue) {
    session s("client", {.messages = 1, .bytes = 10});
    const auto m = message::create("t", {}, qos::at_least_once, false);
    EXPECT_TRUE(s.queue().push({m, qos::at_least_once, false}));
    EXPECT_FALSE(s.queue().push({m, qos::at_least_once, false}));
    EXPECT_EQ(std::as_const(s).queue().size(), 1U);
}

TEST(Session, FindsSubscriptionsByTheirExactFilter) {
    session s("client", {});
    subscription& added = s.add_subscription("a/+");
    EXPECT_EQ(added.name(), "a/+");
    EXPECT_EQ(added.subscriber, &s);
    EXPECT_EQ(added.options, subscription_options{});
    EXPECT_EQ(added.id, 0U);
    EXPECT_EQ(added.node, nullptr) << "the caller puts it into the trie";
    EXPECT_EQ(s.find_subscription("a/+"), &added);
    for (const char* other : {"a/b", "a/#", "+/+", "A/+", "a/+/", ""})
        EXPECT_EQ(s.find_subscription(other), nullptr) << other;
}

TEST(Session, KeepsSubscriptionsAtTheirAddress) {
    session s("client", {});
    subscription& first = s.add_subscription("first");
    for (int i = 0; i < 1000; ++i)
        s.add_subscription("filter/" + std::to_string(i));
    EXPECT_EQ(s.find_subscription("first"), &first);
    EXPECT_EQ(s.subscriptions().size(), 1001U);
    EXPECT_EQ(s.find_subscription("filter/500")->name(), "filter/500");
}

TEST(Session, DoesNotKeepTheCallersText) {
    session s("client", {});
    std::string filter = "a/b";
    s.add_subscription(filter);
    filter = "---";
    EXPECT_NE(s.find_subscription("a/b"), nullptr);
}

TEST(Session, RemovesSubscriptions) {
    session s("client", {});
    s.add_subscription("a");
    subscription& kept = s.add_subscription("b");
    s.remove_subscription("c");
    s.remove_subscription(s.find_subscription("a")->name());  // its own text
    EXPECT_EQ(s.find_subscription("a"), nullptr);
    EXPECT_EQ(s.find_subscription("b"), &kept);
    EXPECT_EQ(s.subscriptions().size(), 1U);
    EXPECT_NE(&s.add_subscription("a"), nullptr);
}

TEST(Session, SubscriptionsLiveInATrie) {
    subscription_trie trie;
    session one("one", {});
    session other("other", {});
    for (session* s : {&one, &other}) {
        subscription& added = s->add_subscription("a/#");
        added.filter = added.name();
        trie.insert(added);
    }
    std::vector<trie_entry*> found;
    trie.match("a/b", found);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_NE(static_cast<subscription*>(found[0])->subscriber,
              static_cast<subscription*>(found[1])->subscriber);
    for (session* s : {&one, &other}) {
        trie.remove(*s->find_subscription("a/#"));
        s->remove_subscription("a/#");
    }
    EXPECT_EQ(trie.size(), 0U);
}

TEST(Session, ItsTimersLeaveTheWheelWithIt) {
    timer_wheel wheel;
    {
        session s("client", {});
        absence& away = s.absence_begins();
        wheel.set(away.expiry, std::chrono::seconds(1));
        wheel.set(away.will_delay, std::chrono::seconds(1));
    }
    wheel.advance(std::chrono::seconds(2), [](timer&) { FAIL() << "fired"; });
}

}  // namespace
}  // namespace amqtt
