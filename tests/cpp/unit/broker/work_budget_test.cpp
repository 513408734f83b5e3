#include "broker/work_budget.hpp"

#include <gtest/gtest.h>

#include "support/fakes.hpp"

namespace amqtt::test {
namespace {

constexpr std::size_t step = 10;

// Work in small steps as far as the turn goes; returns what was spent.
std::int64_t use_up(work_budget& budget) {
    std::int64_t steps = 0;
    for (; !budget.is_spent(); steps += step)
        budget.spend(step);
    return steps;
}

TEST(work_budget, ends_a_turn_by_its_steps_where_time_stands_still) {
    work_budget budget;
    EXPECT_EQ(use_up(budget), work_budget::turn);
    EXPECT_EQ(budget.spent(), work_budget::turn);
    EXPECT_EQ(budget.left(), 0U);
    budget.begin_turn();
    EXPECT_EQ(budget.spent(), 0);
    EXPECT_EQ(use_up(budget), work_budget::turn);
}

TEST(work_budget, gives_a_part_of_a_turn_to_one_of_many) {
    work_budget budget;
    budget.begin_short_turn();
    EXPECT_LT(use_up(budget), work_budget::turn / 4);
}

TEST(work_budget, ends_a_turn_by_its_time) {
    fake_hooks clock;
    work_budget budget(clock);
    clock.look = work_budget::turn_time / 3;
    const std::int64_t steps = use_up(budget);
    EXPECT_GT(steps, 0);
    EXPECT_LT(steps, work_budget::turn);
    EXPECT_GE(budget.spent(), work_budget::turn);  // nothing is left of it
    budget.begin_turn();
    EXPECT_EQ(use_up(budget), steps);
}

TEST(work_budget, looks_at_the_clock_between_portions_only) {
    fake_hooks clock;
    work_budget budget(clock);
    clock.look = duration(1);
    use_up(budget);
    EXPECT_LT(clock.now.count(), 20);
}

TEST(work_budget, counts_what_has_exceeded_a_portion) {
    work_budget budget;
    budget.spend(work_budget::turn - step);
    EXPECT_FALSE(budget.is_spent());
    EXPECT_EQ(budget.left(), step);
    budget.spend(2 * step);
    EXPECT_TRUE(budget.is_spent());
    EXPECT_EQ(budget.spent(), work_budget::turn + std::int64_t{step});
}

}  // namespace
}  // namespace amqtt::test
