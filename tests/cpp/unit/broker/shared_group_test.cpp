// Which member of a shared subscription gets a message, and how long it takes to find one.
#include "broker/shared_group.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

constexpr shared_strategy strategies[] = {shared_strategy::round_robin, shared_strategy::random,
                                          shared_strategy::hash_of_publisher,
                                          shared_strategy::sticky};

broker_settings with(shared_strategy strategy) {
    broker_settings settings;
    settings.shared = strategy;
    return settings;
}

class shared_strategies : public testing::TestWithParam<shared_strategy> {
  protected:
    peer& member(const std::string& id) {
        peer& fresh = bed[id].login({.client_id = id, .clean = false});
        return fresh.subscribe("$share/g/t", 1);
    }
    void publish_some(unsigned count, unsigned level = 0) {
        for (unsigned i = 1; i <= count; ++i)
            bed["pub"].send(publish({.topic = "t", .level = level, .packet_id = level ? i : 0}));
    }

    broker_bed bed{with(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(of, shared_strategies, testing::ValuesIn(strategies));

TEST_P(shared_strategies, pass_over_members_that_are_away) {
    for (int i = 0; i < 20; ++i) {
        member("away" + std::to_string(i));
        bed["away" + std::to_string(i)].abort();
    }
    peer& here = member("here");
    bed["pub"].login({.client_id = "pub"});
    publish_some(30);
    EXPECT_EQ(here.take_packets().size(), 30U);
    // One that is back is a member like the other.
    peer& back = bed.reopen("away7").login({.client_id = "away7", .clean = false}, true);
    publish_some(40);
    EXPECT_EQ(here.take_packets().size() + back.take_packets().size(), 40U);
    here.abort();
    publish_some(10);
    EXPECT_EQ(back.take_packets().size(), 10U);
}

TEST_P(shared_strategies, pass_over_members_that_do_not_keep_up) {
    peer& slow = member("slow");
    peer& quick = member("quick");
    bed["pub"].login({.client_id = "pub"});
    slow.stop_reading();
    // At QoS 1 without an acknowledgement: its window, and then its queue.
    const auto window = static_cast<unsigned>(bed.core.settings().max_inflight_messages);
    for (unsigned i = 0; i < window + 5; ++i)
        bed.core.enqueue(*bed.session_of("slow"),
                         message::create("x", {}, qos::at_least_once, false));
    ASSERT_GT(bed.queued("slow"), 0U);
    publish_some(20);
    EXPECT_EQ(quick.take_packets().size(), 20U);
}

TEST_P(shared_strategies, queue_for_one_when_nobody_is_there) {
    member("a");
    member("b");
    bed["a"].abort();
    bed["b"].abort();
    bed["pub"].login({.client_id = "pub"});
    publish_some(10, 1);
    EXPECT_EQ(bed.queued("a") + bed.queued("b"), 10U);
}

TEST(shared_group, looks_at_no_more_members_the_more_there_are) {
    broker_bed bed;
    std::vector<std::unique_ptr<session>> sessions;
    shared_group group("$share/g/t", "t");
    std::vector<subscription*> all;
    peer& here = bed["here"].login({.client_id = "here"});
    (void)here;
    const auto add = [&](client* connection) {
        const std::string id = std::to_string(sessions.size());
        sessions.push_back(std::make_unique<session>(id, queue_limits{}));
        sessions.back()->connection = connection;
        all.push_back(&sessions.back()->add_subscription("$share/g/t"));
        group.add(*all.back());
    };
    constexpr std::size_t count = 20'000;
    for (std::size_t i = 0; i < count; ++i)
        add(nullptr);
    add(&bed["here"].core());
    subscription* const present = all.back();
    for (const shared_strategy strategy : strategies) {
        std::size_t looked_at = 0;
        EXPECT_EQ(group.choose(strategy, qos::at_most_once, nullptr, nullptr, looked_at), present);
        std::size_t again = 0;
        for (int i = 0; i < 100; ++i) {
            EXPECT_EQ(group.choose(strategy, qos::at_least_once, nullptr, nullptr, again), present);
        }
        EXPECT_LE(again, 100U * 4) << "with strategy " << static_cast<int>(strategy);
        again = 0;
        // The others are not ready, and it is not to be the one.
        EXPECT_NE(group.choose(strategy, qos::at_least_once, nullptr, present->subscriber, again),
                  present);
        EXPECT_LE(again, 8U);
    }
    for (std::size_t i = 0; i < count; ++i)
        sessions[i]->connection = &bed["here"].core();
    for (std::size_t i = 0; i < count; i += 2) {
        sessions[i]->set_aside.pop_front();
        group.take_back(*all[i]);
    }
    std::map<const subscription*, int> chosen;
    std::size_t looked_at = 0;
    for (std::size_t i = 0; i < count / 2 + 1; ++i)
        ++chosen[group.choose(shared_strategy::round_robin, qos::at_most_once, nullptr, nullptr,
                              looked_at)];
    EXPECT_EQ(chosen.size(), count / 2 + 1);  // each has one turn
    EXPECT_LE(looked_at, 3 * count);
    for (subscription* const each : all)
        group.remove(*each);
    EXPECT_TRUE(group.empty());
    for (const auto& each : sessions)
        each->connection = nullptr;
}

// At QoS 1 and 2 the one with the fewest messages in flight.
TEST(shared_group, prefers_members_with_few_messages_in_flight) {
    broker_bed bed;
    for (const char* id : {"busy", "idle"})
        bed[id].login({.client_id = id}).subscribe("$share/g/t", 1);
    for (int i = 0; i < 5; ++i)
        bed.core.enqueue(*bed.session_of("busy"),
                         message::create("x", {}, qos::at_least_once, false));
    bed["busy"].take();
    bed["pub"].login({.client_id = "pub"});
    for (unsigned i = 1; i <= 4; ++i)
        bed["pub"].send(publish({.topic = "t", .level = 1, .packet_id = i}));
    EXPECT_EQ(bed["idle"].take_packets().size(), 4U);
}

}  // namespace
}  // namespace amqtt::test
