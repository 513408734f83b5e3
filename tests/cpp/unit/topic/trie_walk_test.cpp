// A match that is suspended between its parts while the trie changes.
#include <algorithm>
#include <deque>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/topics.hpp"
#include "topic/filter.hpp"
#include "topic/subscription_trie.hpp"

namespace amqtt {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

struct owned_entry : trie_entry {
    explicit owned_entry(std::string text) : text_(std::move(text)) { filter = text_; }

  private:
    std::string text_;
};

class trie_walks : public testing::Test {
  protected:
    trie_entry& insert(std::string filter) {
        entries.push_back(std::make_unique<owned_entry>(std::move(filter)));
        owned_entry& fresh = *entries.back();
        trie.insert(fresh);
        return fresh;
    }

    // Begins with one step and suspends.
    std::unique_ptr<trie_walk> begin(std::string_view topic) {
        std::size_t steps = 1;
        EXPECT_FALSE(trie.match(topic, found, steps));
        EXPECT_EQ(steps, 0U);
        return trie.go_on(topic);
    }

    void go_on(trie_walk& walk, std::size_t steps) { walk.go_on(found, steps); }

    void finish(trie_walk& walk) {
        while (!walk.is_over())
            go_on(walk, 1);
    }

    bool has_no_nodes() {
        trie_entry probe;
        probe.filter = "#";
        trie.insert(probe);
        const trie_node* root = probe.node;
        trie.remove(probe);
        return root->is_unused();
    }

    std::vector<trie_entry*> found;
    std::list<std::unique_ptr<owned_entry>> entries;  // outlive the trie
    subscription_trie trie;
};

TEST_F(trie_walks, find_step_by_step_what_a_match_finds) {
    insert("a/b");
    insert("a/+");
    insert("+/b");
    insert("#");
    insert("a/b/#");
    insert("b/b");
    std::vector<trie_entry*> at_once;
    trie.match("a/b", at_once);
    const auto walk = begin("a/b");
    finish(*walk);
    EXPECT_EQ(found, at_once);
    EXPECT_THAT(found, SizeIs(5));
}

TEST_F(trie_walks, take_no_more_steps_than_they_may) {
    for (int i = 0; i < 1000; ++i)
        insert("a");
    std::size_t steps = 100;
    EXPECT_FALSE(trie.match("a", found, steps));
    EXPECT_LE(found.size(), 100U);
    const auto walk = trie.go_on("a");
    for (std::size_t before = found.size(); !walk->is_over(); before = found.size()) {
        go_on(*walk, 100);
        EXPECT_LE(found.size(), before + 100);
    }
    EXPECT_THAT(found, SizeIs(1000));
}

TEST_F(trie_walks, go_on_behind_an_entry_that_is_removed) {
    std::vector<trie_entry*> same;
    for (int i = 0; i < 5; ++i)
        same.push_back(&insert("a"));
    const auto walk = begin("a");
    go_on(*walk, 2);  // the node, and the first entry
    ASSERT_THAT(found, ElementsAre(same[0]));
    trie.remove(*same[1]);
    trie.remove(*same[2]);
    go_on(*walk, 1);
    trie.remove(*same[4]);
    finish(*walk);
    EXPECT_THAT(found, ElementsAre(same[0], same[3]));
}

TEST_F(trie_walks, skip_nodes_that_are_removed) {
    trie_entry& gone = insert("a/b/c");
    trie_entry& stays = insert("a/+/c");
    const auto walk = begin("a/b/c");
    trie.remove(gone);
    finish(*walk);
    EXPECT_THAT(found, ElementsAre(&stays));
    trie.remove(stays);
    EXPECT_TRUE(has_no_nodes());
}

TEST_F(trie_walks, leave_nothing_behind_when_they_end_early) {
    trie_entry& entry = insert("a/b/c");
    {
        const auto walk = begin("a/b/c");
        trie.remove(entry);
    }
    EXPECT_TRUE(has_no_nodes());
    EXPECT_THAT(found, IsEmpty());
}

TEST_F(trie_walks, go_on_when_a_node_is_split) {
    trie_entry& deep = insert("a/b/c");
    const auto walk = begin("a/b/c");
    insert("a/x");
    insert("a/b/y");
    finish(*walk);
    EXPECT_THAT(found, ElementsAre(&deep));
}

// What is there all the time is found once, what never matches is not, and nothing is found that
// was removed before.
TEST_F(trie_walks, agree_with_the_rules_while_the_trie_changes) {
    test::random_topics random(11);
    for (int round = 0; round < 400; ++round) {
        std::set<trie_entry*> there;
        const auto add = [&] { there.insert(&insert(random.filter())); };
        const auto remove_one = [&] {
            const auto it = std::next(there.begin(), static_cast<long>(random.below(there.size())));
            trie.remove(**it);
            there.erase(it);
        };
        for (std::size_t i = random.below(60); i > 0; --i)
            add();
        const std::string topic = random.topic();
        const std::string other = random.topic();
        found.clear();
        std::vector<trie_entry*> found_by_other;
        std::set<trie_entry*> always = there;
        std::size_t steps = 1;
        if (!trie.match(topic, found, steps)) {
            const auto walk = trie.go_on(topic);
            std::size_t first = 1;
            std::unique_ptr<trie_walk> second;
            if (!trie.match(other, found_by_other, first)) second = trie.go_on(other);
            while (!walk->is_over()) {
                for (std::size_t i = random.below(4); i > 0; --i)
                    add();
                for (std::size_t i = random.below(4); i > 0 && !there.empty(); --i)
                    remove_one();
                const std::size_t before = found.size();
                go_on(*walk, 1 + random.below(3));
                for (std::size_t i = before; i < found.size(); ++i)
                    EXPECT_TRUE(there.contains(found[i])) << found[i]->filter;
                if (second && random.below(2) == 0) {
                    std::size_t some = random.below(3);
                    second->go_on(found_by_other, some);
                }
                std::erase_if(always, [&](trie_entry* each) { return !there.contains(each); });
            }
        }
        const std::set<trie_entry*> once(found.begin(), found.end());
        EXPECT_EQ(once.size(), found.size());
        for (trie_entry* const each : found)
            EXPECT_TRUE(matches(each->filter, topic)) << each->filter << " for " << topic;
        for (trie_entry* const each : always) {
            EXPECT_TRUE(!matches(each->filter, topic) || once.contains(each))
                << each->filter << " for " << topic;
        }
        while (!there.empty())
            remove_one();
        EXPECT_TRUE(has_no_nodes());
        entries.clear();
    }
}

}  // namespace
}  // namespace amqtt
