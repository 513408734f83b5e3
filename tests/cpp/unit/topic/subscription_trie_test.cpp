#include "topic/subscription_trie.hpp"

#include <algorithm>
#include <deque>
#include <list>
#include <memory>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/topics.hpp"
#include "topic/filter.hpp"

namespace amqtt {
namespace {

using test::most_levels;
using test::repeated_level;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

class SubscriptionTrie : public testing::Test {
  protected:
    trie_entry& insert(std::string filter) {
        trie_entry& entry = *entries.emplace_back(std::make_unique<trie_entry>());
        entry.filter = filters.emplace_back(std::move(filter));
        trie.insert(entry);
        return entry;
    }

    std::vector<trie_entry*> match(std::string_view topic) {
        std::vector<trie_entry*> found;
        trie.match(topic, found);
        return found;
    }

    std::vector<std::string> filters_of(std::string_view topic) {
        std::vector<std::string> filters;
        for (const trie_entry* entry : match(topic))
            filters.emplace_back(entry->filter);
        return filters;
    }

    std::size_t count_of(std::string_view filter) {
        std::size_t count = 0;
        const trie_entries* const found = trie.find(filter);
        if (!found) return 0;
        for (const trie_entry* each = found->first(); each; each = found->after(*each)) {
            EXPECT_EQ(each->filter, filter);
            ++count;
        }
        return count;
    }

    // Whether no node but the root is left.
    bool has_no_nodes() {
        trie_entry probe;
        probe.filter = "#";  // its node is the root
        trie.insert(probe);
        const trie_node* root = probe.node;
        trie.remove(probe);
        return root->is_unused();
    }

    std::deque<std::string> filters;
    std::vector<std::unique_ptr<trie_entry>> entries;  // outlive the trie
    subscription_trie trie;
};

TEST_F(SubscriptionTrie, FindsTheEntriesOfAFilter) {
    const std::vector<std::string> all = {"#",      "+",     "a",       "a/b/c", "a/b",  "a/#",
                                          "a/+",    "a/+/c", "a/b/c/#", "/",     "//+",  "+/+/#",
                                          "$SYS/#", "a/bc",  "a//c",    "+/b",   "x/y/z"};
    for (const std::string& filter : all)
        EXPECT_EQ(count_of(filter), 0U) << filter;
    std::vector<trie_entry*> added;
    for (const std::string& filter : all)
        added.push_back(&insert(filter));
    insert("a/+/c");
    for (const std::string& filter : all)
        EXPECT_EQ(count_of(filter), filter == "a/+/c" ? 2U : 1U) << filter;
    for (const char* other :
         {"b", "a/b/", "a/b/c/d", "x", "x/y", "x/y/z/#", "+/c", "a/+/#", "", "y"})
        EXPECT_EQ(count_of(other), 0U) << other;
    trie.remove(*added[3]);
    EXPECT_EQ(count_of("a/b/c"), 0U);
    EXPECT_EQ(count_of("a/b"), 1U);
    EXPECT_EQ(count_of("a/b/c/#"), 1U);
}

TEST_F(SubscriptionTrie, StartsEmpty) {
    EXPECT_EQ(trie.size(), 0U);
    EXPECT_THAT(match("a"), IsEmpty());
    EXPECT_THAT(match("$SYS/x"), IsEmpty());
    EXPECT_TRUE(has_no_nodes());
}

TEST_F(SubscriptionTrie, FindsEveryKindOfFilter) {
    for (const char* filter : {"a/b", "a/+", "+/b", "+/+", "#", "a/#", "a/b/#", "+/#", "a/b/c", "b",
                               "+", "a//b", "/a/b", "a/b/"})
        insert(filter);
    EXPECT_EQ(trie.size(), 14U);
    EXPECT_THAT(filters_of("a/b"),
                UnorderedElementsAre("a/b", "a/+", "+/b", "+/+", "#", "a/#", "a/b/#", "+/#"));
    EXPECT_THAT(filters_of("b"), UnorderedElementsAre("b", "+", "#", "+/#"));
    EXPECT_THAT(filters_of("a/"), UnorderedElementsAre("a/+", "+/+", "#", "a/#", "+/#"));
}

// 3.1.1:MQTT-4.7.2-1@server
TEST_F(SubscriptionTrie, HidesDollarTopicsFromLeadingWildcards) {
    for (const char* filter :
         {"#", "+", "+/x", "+/#", "+/+", "$SYS/#", "$SYS/+", "$SYS/x", "$SYS", "$other/#"})
        insert(filter);
    EXPECT_THAT(filters_of("$SYS/x"), UnorderedElementsAre("$SYS/#", "$SYS/+", "$SYS/x"));
    EXPECT_THAT(filters_of("$SYS"), UnorderedElementsAre("$SYS/#", "$SYS"));
    EXPECT_THAT(filters_of("$"), IsEmpty());
    EXPECT_THAT(filters_of("a/$b"), UnorderedElementsAre("#", "+/#", "+/+"));
}

TEST_F(SubscriptionTrie, FindsAllEntriesOfOneFilter) {
    for (const char* filter : {"a/+", "a/#"}) {
        trie_entry& first = insert(filter);
        trie_entry& second = insert(filter);
        trie_entry& third = insert(filter);
        EXPECT_THAT(match("a/b"), UnorderedElementsAre(&first, &second, &third));
        trie.remove(first);
        EXPECT_THAT(match("a/b"), UnorderedElementsAre(&second, &third));
        trie.remove(third);
        EXPECT_THAT(match("a/b"), ElementsAre(&second));
        trie.remove(second);
        EXPECT_THAT(match("a/b"), IsEmpty());
    }
    EXPECT_TRUE(has_no_nodes());
}

TEST_F(SubscriptionTrie, MatchAppends) {
    trie_entry& entry = insert("a");
    std::vector<trie_entry*> found{nullptr};
    trie.match("a", found);
    trie.match("a", found);
    EXPECT_THAT(found, ElementsAre(nullptr, &entry, &entry));
}

TEST_F(SubscriptionTrie, RemovingTwiceDoesNothing) {
    trie_entry& entry = insert("a");
    trie.remove(entry);
    EXPECT_EQ(entry.node, nullptr);
    trie.remove(entry);
    EXPECT_EQ(trie.size(), 0U);
    trie.insert(entry);
    EXPECT_THAT(match("a"), ElementsAre(&entry));
}

TEST_F(SubscriptionTrie, RemovalKeepsWhatOthersNeed) {
    trie_entry& shorter = insert("a/b");
    trie_entry& longer = insert("a/b/c/d");
    trie_entry& plus = insert("a/b/+");
    trie_entry& multi = insert("a/b/#");
    trie.remove(shorter);
    EXPECT_THAT(match("a/b/c/d"), UnorderedElementsAre(&longer, &multi));
    trie.remove(longer);
    EXPECT_THAT(match("a/b/c/d"), ElementsAre(&multi));
    EXPECT_THAT(match("a/b/c"), UnorderedElementsAre(&plus, &multi));
    trie.remove(multi);
    EXPECT_THAT(match("a/b/c"), ElementsAre(&plus));
    EXPECT_FALSE(has_no_nodes());
    trie.remove(plus);
    EXPECT_TRUE(has_no_nodes());
}

// Levels that nothing branches off from are in one node, until something does.
TEST_F(SubscriptionTrie, BranchesOffBetweenLevels) {
    const std::vector<std::string> filters{"a/b/c/d", "a/b/c",   "a/b/x/d",  "a", "a//c",
                                           "a/b/c/",  "/",       "//",       "",  "a/bc/d",
                                           "a/b/#",   "a/b/+/d", "a/b/c/d/e"};
    for (std::size_t first = 0; first < filters.size(); ++first) {
        std::vector<trie_entry*> inserted;
        for (std::size_t i = 0; i < filters.size(); ++i)
            inserted.push_back(&insert(filters[(first + i) % filters.size()]));
        EXPECT_THAT(filters_of("a/b/c/d"), UnorderedElementsAre("a/b/c/d", "a/b/#", "a/b/+/d"));
        EXPECT_THAT(filters_of("a/b/c"), UnorderedElementsAre("a/b/c", "a/b/#"));
        EXPECT_THAT(filters_of("a/b/c/"), UnorderedElementsAre("a/b/c/", "a/b/#"));
        EXPECT_THAT(filters_of("a/b/cc"), UnorderedElementsAre("a/b/#"));
        EXPECT_THAT(filters_of("a/b"), UnorderedElementsAre("a/b/#"));
        EXPECT_THAT(filters_of("a//c"), UnorderedElementsAre("a//c"));
        EXPECT_THAT(filters_of("/"), UnorderedElementsAre("/"));
        EXPECT_THAT(filters_of("//"), UnorderedElementsAre("//"));
        EXPECT_THAT(filters_of("a/bc"), IsEmpty());
        for (trie_entry* entry : inserted) {
            trie.remove(*entry);
            EXPECT_THAT(match(entry->filter), Not(Contains(entry)));
        }
        EXPECT_TRUE(has_no_nodes());
    }
}

TEST_F(SubscriptionTrie, HoldsManyFiltersInOneLevel) {
    for (int i = 0; i < 5000; ++i)
        insert("level/" + std::to_string(i));
    EXPECT_THAT(filters_of("level/4711"), ElementsAre("level/4711"));
    for (const auto& entry : entries)
        trie.remove(*entry);
    EXPECT_TRUE(has_no_nodes());
}

TEST_F(SubscriptionTrie, HandlesTheMostLevels) {
    const std::string topic = repeated_level('a', most_levels);
    trie_entry& exact = insert(topic);
    trie_entry& plus = insert(repeated_level('+', most_levels));
    trie_entry& multi = insert(repeated_level('a', most_levels - 1) + "/#");
    trie_entry& slashes = insert(std::string(65'535, '/'));
    EXPECT_THAT(match(topic), UnorderedElementsAre(&exact, &plus, &multi));
    EXPECT_THAT(match(std::string(65'535, '/')), ElementsAre(&slashes));
    EXPECT_THAT(match(std::string(32'767, '/')), ElementsAre(&plus));
    EXPECT_THAT(match(repeated_level('a', most_levels - 1)), ElementsAre(&multi));
    for (trie_entry* entry : {&exact, &multi, &slashes, &plus})
        trie.remove(*entry);
    EXPECT_TRUE(has_no_nodes());
}

TEST_F(SubscriptionTrie, IsDestroyedWithTheMostLevelsInIt) {
    insert(repeated_level('a', most_levels));
    insert(repeated_level('+', most_levels));
    insert(std::string(65'535, '/'));
}

TEST_F(SubscriptionTrie, BehavesLikeAListUnderRandomUse) {
    test::random_topics random(1);
    std::set<trie_entry*> model;
    for (int round = 0; round < 5000; ++round) {
        const bool shrinking = round % 1000 > 700;
        if (model.empty() || random.below(10) < (shrinking ? 2U : 6U)) {
            model.insert(&insert(random.filter()));
        } else {
            trie_entry* entry = *std::next(model.begin(), long(random.below(model.size())));
            trie.remove(*entry);
            model.erase(entry);
        }
        ASSERT_EQ(trie.size(), model.size());
        const std::string topic = random.topic();
        std::vector<trie_entry*> found = match(topic);
        std::vector<trie_entry*> expected;
        std::copy_if(model.begin(), model.end(), std::back_inserter(expected),
                     [&](const trie_entry* entry) { return matches(entry->filter, topic); });
        std::sort(found.begin(), found.end(), std::less<>());
        ASSERT_EQ(found, expected) << topic;
    }
    for (trie_entry* entry : model)
        trie.remove(*entry);
    EXPECT_EQ(trie.size(), 0U);
    EXPECT_TRUE(has_no_nodes());
}

}  // namespace
}  // namespace amqtt
