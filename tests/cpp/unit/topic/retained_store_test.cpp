#include "topic/retained_store.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/heap.hpp"
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
    const std::size_t tree = store.bytes() - first->footprint();
    store.store(second);
    EXPECT_EQ(store.find("a/b"), second);
    EXPECT_EQ(store.size(), 1U);
    EXPECT_EQ(store.bytes(), tree + second->footprint());
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
        // What is gone is not found.
        for (const char* topic : {"a/1/x", "a/2/x", "a/3/x", "b"})
            EXPECT_TRUE(store.remove(topic));
        store.store(retained("a/2/x", "new"));
        store.store(retained("c/1/x"));
        while (!walk.is_over())
            walk.look(1, found);
    }
    // What was stored meanwhile may be found; what was there all the time is, and nothing else.
    std::set<std::string_view> topics;
    for (const message_ptr& m : found)
        topics.insert(m->topic());
    topics.erase("a/2/x");
    EXPECT_THAT(topics, ElementsAre("a/4/x"));
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
            bytes += m->footprint();
            ASSERT_EQ(store.find(name), m);
        }
        ASSERT_THAT(topics_of(filter), testing::UnorderedElementsAreArray(expected)) << filter;
        ASSERT_EQ(store.size(), model.size());
        ASSERT_GE(store.bytes(), bytes);
        ASSERT_TRUE(store.bytes() > 0 || model.empty());
    }
    for (const auto& [name, m] : model)
        ASSERT_TRUE(store.remove(name));
    EXPECT_EQ(store.bytes(), 0U);
}

// Walks of many filters while topics come and go: each finds all that was there from its beginning
// to its end, nothing twice that was stored once, and nothing that does not match.
TEST_F(RetainedStore, IsWalkedBySeveralUnderRandomUse) {
    struct running {
        std::string filter;
        std::unique_ptr<retained_walk> walk;
        std::set<std::string> there_all_the_time;
        std::vector<message_ptr> found;
    };
    test::random_topics random(2);
    std::map<std::string, message_ptr> model;
    std::vector<std::unique_ptr<running>> walks;
    std::size_t ended = 0;
    for (int round = 0; round < 20'000; ++round) {
        const std::string topic = random.topic();
        if (random.below(10) < 5) {
            model[topic] = retained(topic);
            store.store(model[topic]);
        } else {
            ASSERT_EQ(store.remove(topic), model.erase(topic) == 1);
            for (const auto& each : walks)
                each->there_all_the_time.erase(topic);
        }
        if (walks.size() < 8) {
            auto fresh = std::make_unique<running>();
            fresh->filter = random.filter();
            for (const auto& [name, m] : model) {
                if (matches(fresh->filter, name)) fresh->there_all_the_time.insert(name);
            }
            fresh->walk = std::make_unique<retained_walk>(store, fresh->filter);
            walks.push_back(std::move(fresh));
        }
        running& next = *walks[random.below(walks.size())];
        next.walk->look(random.below(3) + 1, next.found);
        if (!next.walk->is_over() && random.below(200) != 0) continue;
        std::set<message_ptr> seen;
        for (const message_ptr& m : next.found) {
            ASSERT_TRUE(matches(next.filter, m->topic()));
            ASSERT_TRUE(seen.insert(m).second) << m->topic();
            next.there_all_the_time.erase(std::string(m->topic()));
        }
        if (next.walk->is_over()) {
            ASSERT_THAT(next.there_all_the_time, IsEmpty()) << next.filter;
        }
        ++ended;
        std::erase_if(walks, [&](const auto& each) { return each.get() == &next; });
    }
    EXPECT_GT(ended, 300U);
    walks.clear();
    for (const auto& [name, m] : model)
        store.remove(name);
    EXPECT_EQ(store.bytes(), 0U);
}

// A walk that nobody goes on with, as that of a client that is away.
TEST_F(RetainedStore, DoesNotGrowWhileAWalkIsUnfinished) {
    for (const char* topic : {"a", "b", "c"})
        store.store(retained(topic));
    const std::size_t before = store.bytes();
    retained_walk walk(store, "#");
    std::vector<message_ptr> found;
    walk.look(2, found);
    for (int i = 0; i < 1000; ++i) {
        const std::string topic = "t/" + std::to_string(i);
        store.store(retained(topic));
        EXPECT_TRUE(store.remove(topic));
        store.store(retained("same"));
        EXPECT_TRUE(store.remove("same"));
    }
    EXPECT_EQ(store.size(), 3U);
    EXPECT_EQ(store.bytes(), before);
    // Not even when the walk stands on what goes.
    retained_walk on_it(store, "x/y/z");
    store.store(retained("x/y/z"));
    on_it.look(3, found);
    EXPECT_FALSE(on_it.is_over());
    for (int i = 0; i < 1000; ++i) {
        EXPECT_TRUE(store.remove("x/y/z"));
        store.store(retained("x/y/z"));
    }
    EXPECT_TRUE(store.remove("x/y/z"));
    found.clear();
    on_it.look(1, found);
    EXPECT_THAT(found, IsEmpty());
    while (!on_it.is_over())
        on_it.look(1, found);
    EXPECT_EQ(store.bytes(), before);
}

TEST_F(RetainedStore, AWalkEndsThoughTopicsAreAddedAllTheTime) {
    for (int i = 0; i < 100; ++i)
        store.store(retained("t/" + std::to_string(i)));
    retained_walk walk(store, "#");
    std::vector<message_ptr> found;
    int added = 0;
    for (; !walk.is_over() && added < 10'000; ++added) {
        store.store(retained("t/new/" + std::to_string(added)));
        store.store(retained("u/" + std::to_string(added)));
        walk.look(2, found);
    }
    EXPECT_LT(added, 1000);
}

TEST_F(RetainedStore, FindsWhatHasExpired) {
    const auto until = [](std::string_view topic, int second) {
        return message::create(topic, as_bytes("x"), qos::at_least_once, true, {},
                               std::chrono::seconds(second));
    };
    const auto expired = [&](int second) {
        const message_ptr found = store.expired(std::chrono::seconds(second));
        return found ? std::string(found->topic()) : std::string();
    };
    for (const auto& m : {until("a", 30), until("b", 10), until("c", 20), retained("d")})
        store.store(m);
    EXPECT_EQ(expired(9), "");
    EXPECT_EQ(expired(10), "b");
    store.store(until("b", 40));  // takes the place of the one that would have expired
    EXPECT_EQ(expired(15), "");
    EXPECT_EQ(expired(100), "c");
    EXPECT_TRUE(store.remove("c"));
    store.store(retained("a"));
    EXPECT_EQ(expired(100), "b");
    EXPECT_TRUE(store.remove("b"));
    EXPECT_EQ(expired(100), "");
    EXPECT_EQ(store.size(), 2U);
}

// -- what it counts

TEST_F(RetainedStore, SaysBeforehandWhatItWillTake) {
    for (const char* topic : {"a/b/c", "a/b/c", "a/bb", "x"}) {
        const message_ptr m = retained(topic, std::string(100, 'x'));
        const auto [size, bytes] = store.with(topic, m->size());
        store.store(m);
        EXPECT_EQ(store.size(), size);
        EXPECT_LE(store.bytes(), bytes + 400);  // tables of nodes that have got a second child
        EXPECT_GE(store.bytes(), bytes);
    }
}

TEST_F(RetainedStore, CountsWhatItReallyTakes) {
    const auto fill = [&](auto&& topic_of, int count, std::optional<instant> until = {}) {
        const auto before = test::heap_in_use();
        for (int i = 0; i < count; ++i) {
            store.store(
                message::create(topic_of(i), as_bytes("x"), qos::at_least_once, true, {}, until));
        }
        EXPECT_NEAR(test::real_per_counted(before, store.bytes()), 1.0, 0.1);
        store.clear();
    };
    fill([](int i) { return "t/" + std::to_string(i); }, 50'000);
    fill([](int i) { return std::to_string(i) + "/" + std::to_string(i); }, 20'000);
    fill([](int i) { return std::to_string(i) + test::repeated_level('a', 200); }, 200);
    fill([](int i) { return std::to_string(i) + std::string(60'000, 'a'); }, 100);
    fill([](int i) { return std::to_string(i); }, 20'000, instant{1});
}

TEST_F(RetainedStore, GivesTablesBackWhenFewChildrenAreLeft) {
    const auto before = test::heap_in_use();
    for (int parent = 0; parent < 4; ++parent) {
        const auto topic_of = [&](int i) {
            return std::to_string(parent) + "/" + std::to_string(i);
        };
        for (int i = 0; i < 20'000; ++i)
            store.store(retained(topic_of(i)));
        for (int i = 1; i < 20'000; ++i)
            store.remove(topic_of(i));
    }
    EXPECT_EQ(store.size(), 4U);
    EXPECT_LT(store.bytes(), 4096U);
    EXPECT_LE(test::real_per_counted(before, 16 * 1024), 1.0);  // 1.0 where it is not known
}

}  // namespace
}  // namespace amqtt
