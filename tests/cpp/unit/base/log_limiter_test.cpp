#include "base/log_limiter.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace amqtt {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr log_kind refused{log_level::info, "refused things", 2, 5};
constexpr log_kind closed{log_level::warning, "closed connections", 2, 5};

struct limited_log {
    std::vector<std::string> lines;
    std::vector<log_level> levels;
    log_limiter limiter{[this](log_level level, std::string text) {
        levels.push_back(level);
        lines.push_back(std::move(text));
    }};
    int made = 0;

    void log(const log_kind& kind, const std::string& peer, instant now) {
        limiter.log(kind, peer, now, [&] {
            ++made;
            return "'" + peer + "' is " + (&kind == &refused ? "refused." : "closed.");
        });
    }
    std::vector<std::string> take() { return std::exchange(lines, {}); }
};

TEST(log_limiter, logs_the_first_lines_as_they_are) {
    limited_log to;
    to.log(refused, "a", 1s);
    to.log(refused, "a", 1s);
    to.log(closed, "a", 1s);
    to.log(refused, "b", 1s);
    EXPECT_THAT(to.take(), ElementsAre("'a' is refused.", "'a' is refused.", "'a' is closed.",
                                       "'b' is refused."));
    EXPECT_EQ(to.levels[1], log_level::info);
    EXPECT_EQ(to.levels[2], log_level::warning);
    to.limiter.advance(1h);
    EXPECT_THAT(to.take(), IsEmpty());
    EXPECT_EQ(to.limiter.size(), 0U);
}

TEST(log_limiter, counts_repeats_and_logs_their_number_when_time_has_passed) {
    limited_log to;
    for (int i = 0; i < 1'203'444; ++i)
        to.log(refused, "a", 1s);
    EXPECT_EQ(to.take().size(), 2U);
    EXPECT_EQ(to.made, 2);  // the others cost no text
    to.limiter.advance(10'999ms);
    EXPECT_THAT(to.take(), IsEmpty());
    to.limiter.advance(11s);
    EXPECT_THAT(to.take(), ElementsAre("'a' is refused. (and 1,203,442 more in the last 10 s)"));
    to.limiter.advance(1h);
    EXPECT_THAT(to.take(), IsEmpty());
}

TEST(log_limiter, logs_numbers_before_the_next_line_if_nobody_has_advanced) {
    limited_log to;
    for (int i = 0; i < 3; ++i)
        to.log(refused, "a", 1s);
    to.take();
    to.log(refused, "a", 16s);
    EXPECT_THAT(to.take(),
                ElementsAre("'a' is refused. (and 1 more in the last 15 s)", "'a' is refused."));
}

TEST(log_limiter, bounds_the_lines_of_all_peers) {
    limited_log to;
    for (int i = 0; i < 1000; ++i)
        to.log(refused, "peer " + std::to_string(i), 1s);
    EXPECT_EQ(to.take().size(), 5U);
    EXPECT_EQ(to.limiter.size(), 5U);
    to.log(closed, "peer 999", 1s);  // another kind
    EXPECT_THAT(to.take(), ElementsAre("'peer 999' is closed."));
    to.limiter.advance(20s);
    EXPECT_THAT(to.take(),
                ElementsAre("refused things: 995 more of other clients in the last 19 s"));
}

TEST(log_limiter, counts_each_occurrence_once) {
    limited_log to;
    for (int i = 0; i < 100; ++i) {
        for (const char* peer : {"a", "b", "c", "d", "e", "f"})
            to.log(refused, peer, 1s);
    }
    EXPECT_THAT(to.take(), testing::SizeIs(5));
    to.limiter.finish(3s);
    EXPECT_THAT(to.take(),
                ElementsAre("'a' is refused. (and 99 more in the last 2 s)",
                            "'b' is refused. (and 99 more in the last 2 s)",
                            "'c' is refused. (and 99 more in the last 2 s)",
                            "'d' is refused. (and 99 more in the last 2 s)",
                            "'e' is refused. (and 99 more in the last 2 s)",
                            "refused things: 100 more of other clients in the last 2 s"));
}

TEST(log_limiter, has_an_interval_for_each_kind) {
    limited_log to;
    for (int i = 0; i < 3; ++i) {
        to.log(refused, "a", 1s);
        to.log(closed, "a", 8s);
    }
    to.take();
    to.limiter.advance(11s);
    EXPECT_THAT(to.take(), ElementsAre("'a' is refused. (and 1 more in the last 10 s)"));
    to.limiter.advance(18s);
    EXPECT_THAT(to.take(), ElementsAre("'a' is closed. (and 1 more in the last 10 s)"));
}

}  // namespace
}  // namespace amqtt
