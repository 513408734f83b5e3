#include "base/timer_wheel.hpp"

#include <memory>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace amqtt {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr duration tick = timer_wheel::tick;
constexpr duration whole_round = tick * 1024;

class TimerWheel : public testing::Test {
  protected:
    // The timers that fire when it is now.
    std::vector<timer*> fired_at(instant now) {
        std::vector<timer*> fired;
        wheel.advance(now, [&](timer& t) {
            EXPECT_FALSE(t.is_set());
            EXPECT_LE(t.deadline, now);
            fired.push_back(&t);
        });
        return fired;
    }

    timer_wheel wheel;
    timer a, b, c;
};

TEST_F(TimerWheel, FiresOnceAtTheDeadline) {
    wheel.set(a, 10 * tick);
    EXPECT_TRUE(a.is_set());
    EXPECT_THAT(fired_at(10 * tick - duration(1)), IsEmpty());
    EXPECT_THAT(fired_at(10 * tick), ElementsAre(&a));
    EXPECT_FALSE(a.is_set());
    EXPECT_THAT(fired_at(11 * tick), IsEmpty());
    EXPECT_THAT(fired_at(11 * tick + whole_round), IsEmpty());
}

TEST_F(TimerWheel, LeavesTheRestForTheNextTime) {
    wheel.set(a, tick);
    wheel.set(b, tick);
    wheel.set(c, tick);
    std::vector<timer*> fired;
    const auto fire_one = [&] {
        return wheel.advance(
            tick, [&](timer& t) { fired.push_back(&t); },
            [&, before = fired.size()] { return fired.size() == before; });
    };
    EXPECT_FALSE(fire_one());
    EXPECT_THAT(fired, ElementsAre(&a));
    EXPECT_TRUE(b.is_set());
    b.cancel();
    EXPECT_TRUE(fire_one());
    EXPECT_THAT(fired, ElementsAre(&a, &c));
    EXPECT_THAT(fired_at(2 * tick), IsEmpty());
}

TEST_F(TimerWheel, FiresADeadlineBetweenTicksAtTheNextOne) {
    wheel.set(a, 10 * tick + duration(1));
    EXPECT_THAT(fired_at(10 * tick), IsEmpty());
    EXPECT_THAT(fired_at(11 * tick), ElementsAre(&a));
}

TEST_F(TimerWheel, FiresADeadlineInThePastWithinATick) {
    EXPECT_THAT(fired_at(seconds(100)), IsEmpty());
    wheel.set(a, seconds(1));
    wheel.set(b, seconds(100));
    EXPECT_THAT(fired_at(seconds(100) + tick), UnorderedElementsAre(&a, &b));
}

TEST_F(TimerWheel, DoesWhatIsToBeDoneThen) {
    std::vector<int> done;
    auto gone = std::make_unique<timer>();
    a.expired = [&] {
        done.push_back(1);
        wheel.set(a, 3 * tick);
    };
    gone->expired = [&] {
        gone.reset();  // with what is called
        done.push_back(2);
    };
    wheel.set(a, tick);
    EXPECT_EQ(a.deadline, tick);
    wheel.set(*gone, 2 * tick);
    bool goes_on = true;
    EXPECT_TRUE(wheel.fire_due(2 * tick, [&] { return goes_on; }));
    EXPECT_THAT(done, ElementsAre(1, 2));
    goes_on = false;
    EXPECT_FALSE(wheel.fire_due(3 * tick, [&] { return goes_on; }));
    goes_on = true;
    EXPECT_TRUE(wheel.fire_due(3 * tick, [&] { return goes_on; }));
    EXPECT_THAT(done, ElementsAre(1, 2, 1));
}

TEST_F(TimerWheel, FiresTimersOfOneSlotInTheirOwnRound) {
    wheel.set(a, 5 * tick);
    wheel.set(b, 5 * tick + whole_round);
    wheel.set(c, 5 * tick + 3 * whole_round);
    EXPECT_THAT(fired_at(5 * tick), ElementsAre(&a));
    EXPECT_THAT(fired_at(4 * tick + whole_round), IsEmpty());
    EXPECT_THAT(fired_at(5 * tick + whole_round), ElementsAre(&b));
    EXPECT_THAT(fired_at(5 * tick + 2 * whole_round), IsEmpty());
    EXPECT_THAT(fired_at(5 * tick + 3 * whole_round), ElementsAre(&c));
}

TEST_F(TimerWheel, FiresWhateverIsDueAfterALongJump) {
    wheel.set(a, seconds(1));
    wheel.set(b, hours(24));
    wheel.set(c, hours(24) + tick);
    EXPECT_THAT(fired_at(hours(24)), UnorderedElementsAre(&a, &b));
    EXPECT_THAT(fired_at(hours(24 * 365)), ElementsAre(&c));
}

TEST_F(TimerWheel, IgnoresTimeThatStandsStillOrGoesBack) {
    wheel.set(a, seconds(10));
    EXPECT_THAT(fired_at(seconds(9)), IsEmpty());
    EXPECT_THAT(fired_at(seconds(9)), IsEmpty());
    EXPECT_THAT(fired_at(seconds(3)), IsEmpty());
    EXPECT_THAT(fired_at(seconds(10)), ElementsAre(&a));
}

TEST_F(TimerWheel, DoesNotFireACancelledTimer) {
    a.cancel();  // not set: nothing happens
    wheel.set(a, tick);
    wheel.set(b, tick);
    a.cancel();
    a.cancel();
    EXPECT_FALSE(a.is_set());
    EXPECT_THAT(fired_at(tick), ElementsAre(&b));
}

TEST_F(TimerWheel, SettingAgainReplacesTheDeadline) {
    wheel.set(a, seconds(1));
    wheel.set(a, seconds(5));
    wheel.set(b, seconds(5));
    wheel.set(b, seconds(1));
    EXPECT_THAT(fired_at(seconds(1)), ElementsAre(&b));
    EXPECT_THAT(fired_at(seconds(5)), ElementsAre(&a));
}

TEST_F(TimerWheel, DestroyedTimersLeaveTheWheel) {
    {
        timer gone;
        wheel.set(gone, tick);
        wheel.set(a, tick);
    }
    EXPECT_THAT(fired_at(tick), ElementsAre(&a));
}

TEST_F(TimerWheel, TimersMayOutliveTheWheel) {
    {
        timer_wheel shorter;
        shorter.set(a, seconds(1));
    }
    EXPECT_FALSE(a.is_set());
}

TEST_F(TimerWheel, FireMaySetTheSameTimerAgain) {
    std::vector<instant> times;
    wheel.set(a, tick);
    for (instant now{0}; now < 10 * tick; now += tick / 2) {
        wheel.advance(now, [&](timer& t) {
            times.push_back(now);
            wheel.set(t, now + 3 * tick);
        });
    }
    EXPECT_THAT(times, ElementsAre(tick, 4 * tick, 7 * tick));
}

TEST_F(TimerWheel, ATimerSetByFireForNowWaitsForTheNextTick) {
    int count = 0;
    wheel.set(a, tick);
    const auto again = [&](timer& t) {
        ++count;
        wheel.set(t, t.deadline);
    };
    wheel.advance(10 * tick, again);
    EXPECT_EQ(count, 1);
    wheel.advance(11 * tick, again);
    EXPECT_EQ(count, 2);
}

TEST_F(TimerWheel, FireMayCancelAndDelayTimersThatAreDueToo) {
    for (timer* t : {&a, &b, &c})
        wheel.set(*t, tick);
    std::vector<timer*> fired;
    wheel.advance(tick, [&](timer& t) {
        fired.push_back(&t);
        for (timer* other : {&a, &b}) {
            if (other != &t) other->cancel();
        }
        if (&t != &c) wheel.set(c, seconds(1));
    });
    EXPECT_THAT(fired, ElementsAre(&a));
    EXPECT_THAT(fired_at(seconds(1)), ElementsAre(&c));
}

TEST_F(TimerWheel, FireMayDestroyAnyTimer) {
    std::vector<std::unique_ptr<timer>> timers;
    for (int i = 0; i < 10; ++i) {
        timers.push_back(std::make_unique<timer>());
        wheel.set(*timers.back(), i < 5 ? tick : seconds(1));
    }
    int fired = 0;
    wheel.advance(tick, [&](timer&) {
        ++fired;
        timers.clear();
    });
    EXPECT_EQ(fired, 1);
    EXPECT_THAT(fired_at(seconds(2)), IsEmpty());
}

TEST_F(TimerWheel, IsNeverEarlyAndAtMostATickLate) {
    std::mt19937_64 random(1);
    const auto up_to = [&random](duration most) {
        return duration(static_cast<std::int64_t>(random() % (most.count() + 1)));
    };
    struct timed : timer {
        instant latest{0};  // fires by then, if there is a call of advance()
    };
    std::vector<timed> timers(300);
    instant now{0};
    std::size_t fired = 0;
    for (int step = 0; step < 3000; ++step) {
        for (int change = 0; change < 5; ++change) {
            timed& t = timers[random() % timers.size()];
            if (random() % 4 == 0) {
                t.cancel();
                continue;
            }
            const duration span = random() % 8 == 0 ? 4 * whole_round : duration(seconds(2));
            wheel.set(t, now + up_to(span) - std::min(now, up_to(tick)));
            t.latest = std::max(now, t.deadline) + tick;
        }
        now += up_to(random() % 200 == 0 ? 3 * whole_round : 2 * tick);
        wheel.advance(now, [&](timer& t) {
            ASSERT_LE(t.deadline, now);
            ++fired;
        });
        for (const timed& t : timers)
            ASSERT_TRUE(!t.is_set() || t.latest > now) << "step " << step;
    }
    EXPECT_GT(fired, 1000U);
}

}  // namespace
}  // namespace amqtt
