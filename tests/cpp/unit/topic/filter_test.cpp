#include "topic/filter.hpp"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/topics.hpp"

namespace amqtt {
namespace {

using test::most_levels;
using test::repeated_level;

std::vector<std::string_view> levels_of(std::string_view text) {
    std::vector<std::string_view> levels;
    level_split split{{}, text, true};
    while (split.more) {
        split = split_level(split.rest);
        levels.push_back(split.level);
    }
    return levels;
}

TEST(SplitLevel, CountsEmptyLevels) {
    using testing::ElementsAre;
    EXPECT_THAT(levels_of("a"), ElementsAre("a"));
    EXPECT_THAT(levels_of("a/b/c"), ElementsAre("a", "b", "c"));
    EXPECT_THAT(levels_of("/a"), ElementsAre("", "a"));
    EXPECT_THAT(levels_of("a/"), ElementsAre("a", ""));
    EXPECT_THAT(levels_of("a//b"), ElementsAre("a", "", "b"));
    EXPECT_THAT(levels_of("/"), ElementsAre("", ""));
    EXPECT_THAT(levels_of(""), ElementsAre(""));
    EXPECT_EQ(levels_of(repeated_level('x', most_levels)).size(), most_levels);
}

TEST(TopicFilter, MayHaveWildcardsThatFillALevel) {
    for (const char* filter :
         {"a",     "/",     "//",   " ",       "a/b",    "/a",     "a/",         "#",
          "+",     "/#",    "/+",   "+/",      "+/+",    "+/#",    "a/#",        "a/+",
          "+/a/#", "a/+/b", "a//#", "+/+/+/#", "$SYS/#", "$SYS/+", "$share/g/a", "$"})
        EXPECT_TRUE(is_topic_filter(filter)) << filter;
    EXPECT_TRUE(is_topic_filter(repeated_level('+', most_levels)));
    EXPECT_TRUE(is_topic_filter(std::string(65'535, '/')));
}

// 3.1.1:MQTT-4.7.1-2@server 3.1.1:MQTT-4.7.1-3@server 3.1.1:MQTT-4.7.3-1@server
// 5.0:MQTT-4.7.1-1@server 5.0:MQTT-4.7.1-2@server
TEST(TopicFilter, MayNotHaveWildcardsElsewhere) {
    for (const char* filter : {"",       "a#",     "#a",   "##", "a/#/b", "#/",   "#/a",  "/#/",
                               "#/#",    "a/b#",   "a/#b", "a+", "+a",    "++",   "+a/b", "a/+b",
                               "a/b+/c", "a/++/b", "+#",   "#+", "a/+#",  "a/#+", "/a#"})
        EXPECT_FALSE(is_topic_filter(filter)) << filter;
    EXPECT_FALSE(is_topic_filter(repeated_level('#', most_levels)));
    EXPECT_FALSE(is_topic_filter(repeated_level('a', most_levels - 1) + "/b#"));
}

struct parse_case {
    const char* text;
    const char* share;  // nullptr: no valid syntax
    const char* filter;
};

constexpr parse_case parse_cases[] = {
    {"a/b", "", "a/b"},
    {"#", "", "#"},
    {"$share", "", "$share"},
    {"$shared/g/a", "", "$shared/g/a"},
    {"$SHARE/g/a", "", "$SHARE/g/a"},
    {"a/$share/g", "", "a/$share/g"},
    {"$share/g/a", "g", "a"},
    {"$share/g/a/+/#", "g", "a/+/#"},
    {"$share/g/#", "g", "#"},
    {"$share/g//a", "g", "/a"},
    {"$share/g//", "g", "/"},
    {"$share/g/$SYS/#", "g", "$SYS/#"},
    {"$share/$share/a", "$share", "a"},
    {"$share/g/$share/h/a", "g", "$share/h/a"},
    {"", nullptr, nullptr},
    {"a#", nullptr, nullptr},
    {"$share/", nullptr, nullptr},
    {"$share/g", nullptr, nullptr},
    {"$share/g/", nullptr, nullptr},
    {"$share//a", nullptr, nullptr},
    {"$share//", nullptr, nullptr},
    {"$share/+/a", nullptr, nullptr},
    {"$share/#", nullptr, nullptr},
    {"$share/#/a", nullptr, nullptr},
    {"$share/a+/b", nullptr, nullptr},
    {"$share/a#/b", nullptr, nullptr},
    {"$share/g/a#", nullptr, nullptr},
    {"$share/g/#/a", nullptr, nullptr},
};

// 5.0:MQTT-4.8.2-1@server 5.0:MQTT-4.8.2-2@server
TEST(ParseFilter, TakesSharedSubscriptionsApart) {
    for (const parse_case& c : parse_cases) {
        const auto parsed = parse_filter(c.text);
        ASSERT_EQ(parsed.has_value(), c.share != nullptr) << c.text;
        if (!parsed) continue;
        EXPECT_EQ(parsed->share, c.share) << c.text;
        EXPECT_EQ(parsed->filter, c.filter) << c.text;
    }
}

struct match_case {
    const char* filter;
    const char* topic;
    bool expected;
};

constexpr match_case match_cases[] = {
    {"a", "a", true},
    {"a", "A", false},
    {"a", "a/", false},
    {"a", "/a", false},
    {"a/", "a", false},
    {"a/b", "a/b", true},
    {"a/b", "a/b/c", false},
    {"a/b/c", "a/b", false},
    {"a//b", "a//b", true},
    {"a//b", "a/b", false},
    {"/", "/", true},
    {"a b", "a b", true},
    // One level.
    {"+", "a", true},
    {"+", "/", false},
    {"+", "/a", false},
    {"+", "a/", false},
    {"+", "a/b", false},
    {"/+", "/a", true},
    {"/+", "/", true},
    {"/+", "a", false},
    {"+/+", "/a", true},
    {"+/+", "/", true},
    {"+/+", "a", false},
    {"a/+", "a/", true},
    {"a/+", "a/b", true},
    {"a/+", "a", false},
    {"a/+", "a/b/c", false},
    {"a/+/c", "a/b/c", true},
    {"a/+/c", "a//c", true},
    {"a/+/c", "a/b/d", false},
    {"+/b/+", "a/b/c", true},
    {"+/tennis/#", "sport/tennis/player1", true},
    // All levels.
    {"#", "a", true},
    {"#", "/", true},
    {"#", "a/b/c", true},
    {"a/#", "a", true},
    {"a/#", "a/", true},
    {"a/#", "a/b", true},
    {"a/#", "a/b/c", true},
    {"a/#", "ab", false},
    {"a/#", "b/a", false},
    {"a/#", "/a", false},
    {"/#", "/", true},
    {"/#", "/a", true},
    {"/#", "a", false},
    {"+/#", "a", true},
    {"+/#", "a/b/c", true},
    {"+/#", "/", true},
    {"a/+/#", "a", false},
    {"a/+/#", "a/b", true},
    {"a/b/#", "a", false},
    {"a//#", "a/", true},
    {"a//#", "a", false},
    // '$' at the start.
    {"#", "$SYS", false},
    {"#", "$SYS/x", false},
    {"#", "$", false},
    {"+", "$SYS", false},
    {"+/x", "$SYS/x", false},
    {"+/#", "$SYS/x", false},
    {"$SYS/#", "$SYS/x", true},
    {"$SYS/#", "$SYS", true},
    {"$SYS/+", "$SYS/x", true},
    {"$SYS", "$SYS", true},
    {"a/#", "a/$b", true},
    {"a/+", "a/$b", true},
    {"/#", "/$b", true},
    {"+/+", "/$b", true},
};

// 3.1.1:MQTT-4.7.2-1@server 3.1.1:MQTT-4.7.3-4@server 5.0:MQTT-4.7.2-1@server
TEST(Matches, TheExamplesOfTheStandardAndTheirKin) {
    for (const match_case& c : match_cases) {
        ASSERT_TRUE(is_topic_filter(c.filter));
        EXPECT_EQ(matches(c.filter, c.topic), c.expected) << c.filter << " on " << c.topic;
    }
}

TEST(Matches, ComparesBytesWithoutNormalization) {
    EXPECT_TRUE(matches("\xC3\xA9", "\xC3\xA9"));
    EXPECT_FALSE(matches("\xC3\xA9", "e\xCC\x81"));
    EXPECT_FALSE(matches("a",
                         "\xEF\xBB\xBF"
                         "a"));
    EXPECT_TRUE(matches("+",
                        "\xEF\xBB\xBF"
                        "a"));
}

TEST(Matches, TopicsOfAllLevels) {
    const std::string topic = repeated_level('a', most_levels);
    EXPECT_TRUE(matches(topic, topic));
    EXPECT_TRUE(matches("#", topic));
    EXPECT_TRUE(matches(repeated_level('+', most_levels), topic));
    EXPECT_FALSE(matches(repeated_level('+', most_levels - 1), topic));
    EXPECT_TRUE(matches(repeated_level('+', most_levels - 1) + "/#", topic));
    EXPECT_FALSE(matches(topic, repeated_level('a', most_levels - 1)));
}

// The rules of section 4.7 on whole lists of levels.
bool reference(std::string_view filter, std::string_view topic) {
    const auto f = levels_of(filter);
    const auto t = levels_of(topic);
    if (topic.front() == '$' && (f[0] == "+" || f[0] == "#")) return false;
    const bool multi = f.back() == "#";
    const std::size_t fixed = multi ? f.size() - 1 : f.size();
    if (multi ? t.size() < fixed : t.size() != fixed) return false;
    for (std::size_t i = 0; i < fixed; ++i) {
        if (f[i] != "+" && f[i] != t[i]) return false;
    }
    return true;
}

TEST(Matches, AgreesWithTheRulesOnRandomTopics) {
    test::random_topics random(1);
    int found = 0;
    for (int i = 0; i < 50'000; ++i) {
        const std::string filter = random.filter();
        const std::string topic = random.topic();
        ASSERT_TRUE(is_topic_filter(filter)) << filter;
        ASSERT_EQ(matches(filter, topic), reference(filter, topic)) << filter << " on " << topic;
        found += matches(filter, topic);
    }
    EXPECT_GT(found, 1000);
}

}  // namespace
}  // namespace amqtt
