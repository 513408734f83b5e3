#include "topic/retained_store.hpp"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/topics.hpp"
#include "topic/filter.hpp"

namespace amqtt {
namespace {

using test::most_levels;
using test::repeated_level;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

message_ptr retained(std::string_view topic, std::string_view payload = "value") {
    return message::create(topic, as_bytes(payload), qos::at_least_once, true);
}

class RetainedStore : public testing::Test {
  protected:
    std::vector<std::string> topics_of(std::string_view filter) {
        std::vector<message_ptr> found;
        store.match(filter, found);
        std::vector<std::string> topics;
        for (const message_ptr& m : found)
            topics.emplace_back(m->topic());
        return topics;
    }

    retained_store store;
};

TEST_F(RetainedStore, StartsEmpty) {
    EXPECT_EQ(store.size(), 0U);
    EXPECT_EQ(store.bytes(), 0U);
    EXPECT_EQ(store.find("a"), nullptr);
    EXPECT_FALSE(store.remove("a"));
    EXPECT_THAT(topics_of("#"), IsEmpty());
}

TEST_F(RetainedStore, KeepsTheLastMessageOfATopic) {
    const auto first = retained("a/b", "first");
    const auto second = retained("a/b", "the second");
    store.store(first);
    EXPECT_EQ(store.find("a/b"), first);
    EXPECT_EQ(store.bytes(), first->size());
    store.store(second);
    EXPECT_EQ(store.find("a/b"), second);
    EXPECT_EQ(store.size(), 1U);
    EXPECT_EQ(store.bytes(), second->size());
}

TEST_F(RetainedStore, FindsExactTopicsOnly) {
    store.store(retained("a/b"));
    for (const char* topic : {"a", "a/", "a/b/", "a/b/c", "/a/b", "A/b", "b"}) {
        EXPECT_EQ(store.find(topic), nullptr) << topic;
        EXPECT_FALSE(store.remove(topic)) << topic;
    }
    EXPECT_EQ(store.size(), 1U);
}

TEST_F(RetainedStore, RemovesOneTopic) {
    for (const char* topic : {"a", "a/b", "a/b/c", "a/c"})
        store.store(retained(topic));
    EXPECT_TRUE(store.remove("a/b"));
    EXPECT_FALSE(store.remove("a/b"));
    EXPECT_EQ(store.size(), 3U);
    EXPECT_THAT(topics_of("#"), UnorderedElementsAre("a", "a/b/c", "a/c"));
    EXPECT_TRUE(store.remove("a/b/c"));
    EXPECT_TRUE(store.remove("a"));
    EXPECT_THAT(topics_of("#"), ElementsAre("a/c"));
    EXPECT_TRUE(store.remove("a/c"));
    EXPECT_EQ(store.size(), 0U);
    EXPECT_EQ(store.bytes(), 0U);
    store.store(retained("a/b"));
    EXPECT_THAT(topics_of("a/+"), ElementsAre("a/b"));
}

TEST_F(RetainedStore, MatchesEveryKindOfFilter) {
    for (const char* topic : {"a", "a/", "a/b", "a/b/c", "a//c", "/a", "b", "/"})
        store.store(retained(topic));
    EXPECT_THAT(topics_of("a"), ElementsAre("a"));
    EXPECT_THAT(topics_of("+"), UnorderedElementsAre("a", "b"));
    EXPECT_THAT(topics_of("a/+"), UnorderedElementsAre("a/", "a/b"));
    EXPECT_THAT(topics_of("+/+"), UnorderedElementsAre("a/", "a/b", "/a", "/"));
    EXPECT_THAT(topics_of("a/#"), UnorderedElementsAre("a", "a/", "a/b", "a/b/c", "a//c"));
    EXPECT_THAT(topics_of("/#"), UnorderedElementsAre("/a", "/"));
    EXPECT_THAT(topics_of("+/b/#"), UnorderedElementsAre("a/b", "a/b/c"));
    EXPECT_THAT(topics_of("a/+/c"), UnorderedElementsAre("a/b/c", "a//c"));
    EXPECT_EQ(topics_of("#").size(), 8U);
    EXPECT_THAT(topics_of("c/#"), IsEmpty());
}

// 3.1.1:MQTT-4.7.2-1@server
TEST_F(RetainedStore, HidesDollarTopicsFromLeadingWildcards) {
    for (const char* topic : {"$SYS", "$SYS/x", "$SYS/x/y", "a", "a/$b"})
        store.store(retained(topic));
    EXPECT_THAT(topics_of("#"), UnorderedElementsAre("a", "a/$b"));
    EXPECT_THAT(topics_of("+"), ElementsAre("a"));
    EXPECT_THAT(topics_of("+/#"), UnorderedElementsAre("a", "a/$b"));
    EXPECT_THAT(topics_of("+/+"), ElementsAre("a/$b"));
    EXPECT_THAT(topics_of("$SYS/#"), UnorderedElementsAre("$SYS", "$SYS/x", "$SYS/x/y"));
    EXPECT_THAT(topics_of("$SYS/+"), ElementsAre("$SYS/x"));
}

TEST_F(RetainedStore, MatchAppends) {
    store.store(retained("a"));
    std::vector<message_ptr> found{nullptr};
    store.match("a", found);
    EXPECT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0], nullptr);
}

TEST_F(RetainedStore, IsWalkedInPartsWhileItChanges) {
    for (const char* topic : {"a/1/x", "a/2/x", "a/3/x", "a/4/x", "b", "a/5/y"})
        store.store(retained(topic));
    std::vector<message_ptr> found;
    {
        retained_walk walk(store, "a/+/x");
        walk.look(3, found);  // the root, "a", and one below it
        EXPECT_FALSE(walk.is_over());
        EXPECT_THAT(found, IsEmpty());
        // What is gone is not found, and its nodes stay until the walk is over.
        for (const char* topic : {"a/1/x", "a/2/x", "a/3/x", "b"})
            EXPECT_TRUE(store.remove(topic));
        store.store(retained("a/2/x", "new"));
        store.store(retained("c/1/x"));
        while (!walk.is_over())
            walk.look(1, found);
    }
    ASSERT_EQ(found.size(), 2U);
    EXPECT_THAT(
        (std::vector<std::string>{std::string(found[0]->topic()), std::string(found[1]->topic())}),
        UnorderedElementsAre("a/2/x", "a/4/x"));
    EXPECT_THAT(topics_of("#"), UnorderedElementsAre("a/2/x", "a/4/x", "a/5/y", "c/1/x"));
    for (const char* topic : {"a/2/x", "a/4/x", "a/5/y", "c/1/x"})
        EXPECT_TRUE(store.remove(topic));
    EXPECT_EQ(store.size(), 0U);
}

TEST_F(RetainedStore, WhatWasFoundOutlivesTheStore) {
    store.store(retained("a", "kept"));
    const message_ptr found = store.find("a");
    store.clear();
    EXPECT_EQ(as_text(found->payload()), "kept");
}

TEST_F(RetainedStore, ClearForgetsEverything) {
    for (const char* topic : {"a", "a/b", "$SYS/x"})
        store.store(retained(topic));
    store.clear();
    store.clear();
    EXPECT_EQ(store.size(), 0U);
    EXPECT_EQ(store.bytes(), 0U);
    EXPECT_EQ(store.find("a"), nullptr);
    store.store(retained("a"));
    EXPECT_THAT(topics_of("#"), ElementsAre("a"));
}

TEST_F(RetainedStore, HandlesTheMostLevels) {
    const std::string topic = repeated_level('a', most_levels);
    const std::string slashes(65'535, '/');
    store.store(retained(topic));
    store.store(retained(slashes));
    EXPECT_NE(store.find(topic), nullptr);
    EXPECT_EQ(topics_of("#").size(), 2U);
    EXPECT_THAT(topics_of("a/#"), ElementsAre(topic));
    EXPECT_THAT(topics_of(repeated_level('+', most_levels)), ElementsAre(topic));
    EXPECT_THAT(topics_of(repeated_level('+', most_levels + 1) + "/#"), ElementsAre(slashes));
    EXPECT_TRUE(store.remove(topic));
    EXPECT_TRUE(store.remove(slashes));
    EXPECT_THAT(topics_of("#"), IsEmpty());
    store.store(retained(topic));  // destroyed with the store
}

TEST_F(RetainedStore, BehavesLikeAMapUnderRandomUse) {
    test::random_topics random(1);
    std::map<std::string, message_ptr> model;
    for (int round = 0; round < 3000; ++round) {
        const std::string topic = random.topic();
        if (random.below(10) < (round % 1000 > 600 ? 2U : 7U)) {
            model[topic] = retained(topic, std::string(random.below(20), 'x'));
            store.store(model[topic]);
        } else {
            ASSERT_EQ(store.remove(topic), model.erase(topic) == 1) << topic;
        }
        if (round % 2000 == 1999) {
            store.clear();
            model.clear();
        }
        const std::string filter = random.filter();
        std::vector<std::string> expected;
        std::size_t bytes = 0;
        for (const auto& [name, m] : model) {
            if (matches(filter, name)) expected.push_back(name);
            bytes += m->size();
            ASSERT_EQ(store.find(name), m);
        }
        ASSERT_THAT(topics_of(filter), testing::UnorderedElementsAreArray(expected)) << filter;
        ASSERT_EQ(store.size(), model.size());
        ASSERT_EQ(store.bytes(), bytes);
    }
}

}  // namespace
}  // namespace amqtt
