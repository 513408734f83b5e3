// How long the broker works for one client while others wait: in steps of work, not in time.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "broker/work_budget.hpp"
#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

bytes many(const bytes& unit, std::size_t count) {
    bytes all;
    for (std::size_t i = 0; i < count; ++i)
        all.insert(all.end(), unit.begin(), unit.end());
    return all;
}

// The client's QoS 1 message is answered at once, and reaches a subscriber, whatever others do.
void expect_is_served(broker_bed& bed, const std::string& name) {
    bed[name].send(publish({.topic = "victim", .payload = "x", .level = 1, .packet_id = 1}));
    const bytes got = bed[name].take();
    EXPECT_EQ(got, publish({.topic = "victim", .payload = "x"}) + puback(1)) << shown(got);
}

class turns : public testing::Test {
  protected:
    void SetUp() override { bed["victim"].login({.client_id = "victim"}).subscribe("victim"); }

    // One turn for those who stand in line, as the transport gives it between two looks at sockets.
    void work_once() {
        EXPECT_LE(std::exchange(bed.hooks.work_requests, 0), 1);
        bed.hooks.has_work_left = false;
        bed.core.work(bed.now);
        bed.settle_now();
    }
    // How many turns it takes until nothing is left.
    std::size_t work_to_the_end() {
        std::size_t turns = 0;
        for (; bed.hooks.has_work_left && turns < 100'000; ++turns) {
            work_once();
            expect_is_served(bed, "victim");
        }
        return turns;
    }

    broker_bed bed;
};

TEST_F(turns, end_a_flood_of_messages) {
    constexpr std::size_t count = 20'000;
    bed.works = false;
    bed["flood"].login({.client_id = "flood"});
    bed["flood"].send(many(publish({.topic = "t"}), count));
    const std::uint64_t first = bed.core.stats().publish_received;
    EXPECT_GT(first, 0U);
    EXPECT_LE(first, work_budget::turn / step_cost::packet + 1);
    expect_is_served(bed, "victim");
    EXPECT_GT(work_to_the_end(), 3U);
    EXPECT_GE(bed.core.stats().publish_received, count);
}

// However few steps that was: they may take longer than is thought.
TEST_F(turns, end_when_their_time_is_over) {
    constexpr std::size_t count = 20'000;
    bed.works = false;
    bed["flood"].login({.client_id = "flood"});
    bed["flood"].send(many(publish({.topic = "t"}), count));
    const std::uint64_t by_steps = bed.core.stats().publish_received;
    bed["slow"].login({.client_id = "slow"});
    bed.hooks.look = work_budget::turn_time;
    bed["slow"].send(many(publish({.topic = "t"}), count));
    const std::uint64_t by_time = bed.core.stats().publish_received - by_steps;
    EXPECT_GT(by_time, 0U);
    EXPECT_LT(by_time, by_steps / 3);
    expect_is_served(bed, "victim");
    const std::uint64_t before = bed.core.stats().publish_received;
    work_once();  // for one of them
    EXPECT_LT(bed.core.stats().publish_received - before, by_steps / 3);
    EXPECT_GT(work_to_the_end(), 2 * 20U);
    EXPECT_GE(bed.core.stats().publish_received, 2 * count);
}

// Else one client with much to do would have more turns between two looks at sockets each time.
TEST_F(turns, are_asked_for_once_however_often_time_passes) {
    bed.works = false;
    bed["flood"].login({.client_id = "flood"});
    bed["flood"].send(many(publish({.topic = "t"}), 20'000));
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(bed.hooks.has_work_left);
        bed.core.advance(bed.now);  // would ask again, see work_once()
        work_once();
    }
    work_to_the_end();
    bed["flood"].send(many(publish({.topic = "t"}), 2'000));
    EXPECT_TRUE(bed.hooks.has_work_left);
    bed.core.advance(bed.now);
    bed.core.advance(bed.now);
    bed["flood"].send(many(publish({.topic = "t"}), 2'000));
    EXPECT_GT(work_to_the_end(), 0U);
}

TEST_F(turns, end_a_flood_of_pings) {
    constexpr std::size_t count = 100'000;
    bed.works = false;
    bed["flood"].login({.client_id = "flood"});
    bed["flood"].send(many(pingreq(), count));
    EXPECT_LT(bed["flood"].take_packets().size(), count / 4);
    expect_is_served(bed, "victim");
    EXPECT_GT(work_to_the_end(), 3U);
    EXPECT_TRUE(bed["flood"].is_open());
}

TEST_F(turns, are_taken_by_one_after_the_other) {
    constexpr std::size_t count = 20'000;
    bed.works = false;
    const std::vector<std::string> names{"a", "b", "c"};
    for (const std::string& name : names)
        bed[name].login({.client_id = name});
    for (const std::string& name : names)
        bed[name].send(many(publish({.topic = name, .level = 1, .packet_id = 1}), count));
    std::vector<std::size_t> done(names.size());
    for (int i = 0; i < 30; ++i) {
        for (std::size_t n = 0; n < names.size(); ++n)
            done[n] += bed[names[n]].take().size();
        const auto [least, most] = std::minmax_element(done.begin(), done.end());
        EXPECT_LE(*most - *least, 2 * 4 * work_budget::turn / step_cost::packet);  // PUBACKs
        work_once();
    }
    EXPECT_GT(*std::min_element(done.begin(), done.end()), 0U);
}

TEST_F(turns, keep_the_order_of_a_client) {
    bed.works = false;
    peer& sub = bed["sub"].login({.client_id = "sub"}).subscribe("t");
    bytes input;
    bytes expected;
    for (int i = 0; i < 3000; ++i) {
        const bytes one = publish({.topic = "t", .payload = std::to_string(i)});
        input = input.empty() ? one : std::move(input) + one;
        expected.insert(expected.end(), one.begin(), one.end());
        if (i == 1000) input = std::move(input) + subscribe(1, {{"other", 0}});
    }
    bed["flood"].login({.client_id = "flood"}).send(input);
    work_to_the_end();
    EXPECT_EQ(sub.take(), expected);
    bed["flood"].expect(suback(1, {0}));
}

// Its end waits until what was sent before is dealt with.
TEST_F(turns, come_before_a_disconnect) {
    bed.works = false;
    bed["flood"].login({.client_id = "flood", .will = {{.topic = "victim", .payload = "gone"}}});
    bed["flood"].send(many(publish({.topic = "t"}), 5000) + disconnect());
    EXPECT_TRUE(bed["flood"].is_open());
    bed.works = true;
    bed.settle_now();
    EXPECT_FALSE(bed["flood"].is_open());
    EXPECT_EQ(bed.core.stats().publish_received, 5000U);
    bed["victim"].expect_nothing();
}

// A client whose input waits is not silent.
TEST_F(turns, do_not_count_against_keep_alive) {
    bed.works = false;
    bed["flood"].login({.client_id = "flood", .keep_alive = 10});
    bed["flood"].send(many(publish({.topic = "t"}), 50'000));
    for (int i = 0; i < 20; ++i) {
        bed.now += std::chrono::seconds(2);
        bed.core.advance(bed.now);  // which does some of the work, too
    }
    EXPECT_TRUE(bed["flood"].is_open());
}

// A client with input left has not caught up: its successor waits for what is before.
TEST_F(turns, come_before_a_successor) {
    bed.works = false;
    bed["old"].login({.client_id = "same", .clean = false});
    bed["old"].send(many(publish({.topic = "t"}), 5000) +
                    publish({.topic = "victim", .payload = "last"}) + disconnect());
    bed["new"].send(connect({.client_id = "same", .clean = false}));
    bed["new"].expect_nothing();
    bed.works = true;
    bed.settle_now();
    bed["victim"].expect(publish({.topic = "victim", .payload = "last"}));
    bed["new"].expect(connack(true));
}

// -- matching

// 2^levels filters, all of which have to be looked at for "a/a/a…", though none matches.
void subscribe_to_many(broker_bed& bed, const std::string& name, unsigned levels) {
    bed[name].login({.client_id = name});
    for (unsigned bits = 0; bits < (1U << levels); ++bits) {
        std::string filter;
        for (unsigned level = 0; level < levels; ++level)
            filter += (bits >> level & 1U) != 0 ? "+/" : "a/";
        bed[name].send(subscribe(1, {{filter + "end", 1}})).take();
    }
}

std::string topic_of(unsigned levels, const std::string& last) {
    std::string topic;
    for (unsigned level = 0; level < levels; ++level)
        topic += "a/";
    return topic + last;
}

TEST_F(turns, end_a_long_match) {
    subscribe_to_many(bed, "wild", 13);
    bed["flood"].login({.client_id = "flood"});
    bed.works = false;
    bed["flood"].send(publish({.topic = topic_of(13, "new"), .level = 1, .packet_id = 5}) +
                      pingreq());
    bed["flood"].expect_nothing();
    expect_is_served(bed, "victim");
    EXPECT_GE(work_to_the_end(), (1U << 13) / work_budget::turn);
    bed["flood"].expect(puback(5)).expect(pingresp());
}

TEST_F(turns, find_the_same_subscribers_as_one_long_match) {
    subscribe_to_many(bed, "wild", 12);
    bed["exact"].login({.client_id = "exact"}).subscribe(topic_of(12, "end"));
    bed["multi"].login({.client_id = "multi"}).subscribe("#", 1);
    bed["flood"].login({.client_id = "flood"});
    bed.works = false;
    const std::string topic = topic_of(12, "end");
    for (unsigned id = 1; id <= 3; ++id) {
        bed["flood"].send(publish({.topic = topic, .payload = "x", .level = 1, .packet_id = id}));
        bed.works = true;
        bed.settle_now();
        bed.works = false;
        bed["flood"].expect(puback(id)).expect_nothing();
        bed["wild"].expect(publish({.topic = topic, .payload = "x", .level = 1, .packet_id = id}));
        bed["wild"].expect_nothing();
        bed["exact"].expect(publish({.topic = topic, .payload = "x"})).expect_nothing();
        EXPECT_EQ(bed["multi"].take_packets().size(), 1U);
        bed["wild"].send(puback(id));
    }
    // A topic that comes again is known, however long it took to find its subscribers.
    bed["flood"].send(publish({.topic = topic, .payload = "x", .level = 1, .packet_id = 9}));
    bed["flood"].expect(puback(9));
}

// Who unsubscribes, or is gone, before the match comes to it gets nothing; nobody gets it twice.
TEST_F(turns, of_a_match_see_changes_of_subscriptions) {
    subscribe_to_many(bed, "wild", 12);
    for (const char* name : {"goes", "stays", "ends"})
        bed[name].login({.client_id = name}).subscribe(topic_of(12, "end"));
    bed["flood"].login({.client_id = "flood"});
    bed.works = false;
    const std::string topic = topic_of(12, "end");
    bed["flood"].send(publish({.topic = topic, .level = 1, .packet_id = 1}));
    bed["wild"].abort();  // and with it most of the tree
    bed["ends"].abort();
    bed["comes"].login({.client_id = "comes"}).subscribe("a/#");
    work_to_the_end();
    bed["flood"].expect(puback(1));
    bed["stays"].expect(publish({.topic = topic})).expect_nothing();
    EXPECT_LE(bed["goes"].take_packets().size(), 1U);
    EXPECT_LE(bed["comes"].take_packets().size(), 1U);
    bed.works = true;
    bed.abort_all();
    EXPECT_EQ(bed.core.routes().subscription_count(), 0U);
}

// A message that some may have got is for the others, too, though its publisher is gone.
TEST_F(turns, finish_a_message_whose_publisher_is_gone) {
    subscribe_to_many(bed, "wild", 12);
    bed["sub"].login({.client_id = "sub"}).subscribe("a/#");
    bed["flood"].login({.client_id = "flood"});
    bed.works = false;
    bed["flood"].send(publish({.topic = topic_of(12, "end"), .payload = "x", .retain = true}));
    EXPECT_EQ(bed.core.routes().retained().size(), 1U);  // for those who subscribe meanwhile
    bed["flood"].abort();
    EXPECT_EQ(bed.session_of("flood"), nullptr);
    work_to_the_end();
    EXPECT_EQ(bed["sub"].take_packets().size(), 1U);
    EXPECT_EQ(bed["wild"].take_packets().size(), 1U);
}

TEST_F(turns, of_the_broker_publish_in_order) {
    subscribe_to_many(bed, "wild", 12);
    peer& sub = bed["sub"].login({.client_id = "sub"}).subscribe("a/#").subscribe("b");
    bed["will"].login(
        {.client_id = "will", .will = {{.topic = topic_of(12, "will"), .payload = "w"}}});
    bed.works = false;
    bed["will"].abort();
    bed.publish(topic_of(12, "app"), "1", qos::at_most_once);
    bed.publish("b", "2", qos::at_most_once);
    sub.expect_nothing();
    work_to_the_end();
    sub.expect(publish({.topic = topic_of(12, "will"), .payload = "w"}))
        .expect(publish({.topic = topic_of(12, "app"), .payload = "1"}))
        .expect(publish({.topic = "b", .payload = "2"}));
}

// Wills that wait for their turn are bounded by who may connect meanwhile.
TEST_F(turns, of_wills_come_before_new_clients) {
    subscribe_to_many(bed, "wild", 12);
    bed.works = false;
    for (int i = 0; i < 1200; ++i) {
        const std::string name = "w" + std::to_string(i);
        bed[name].send(connect({.client_id = name, .will = {{.topic = topic_of(12, name)}}}));
        bed[name].abort();
    }
    bed["new"].send(connect({.client_id = "new"}));
    bed["new"].expect_nothing();
    bed.works = true;
    bed.settle_now();
    bed["new"].expect(connack());
}

TEST_F(turns, end_a_message_for_very_many) {
    constexpr int count = 10'000;
    for (int i = 0; i < count; ++i)
        bed.core.subscribe_local(static_cast<unsigned>(i + 1), "t", qos::at_most_once, bed.now);
    bed["pub"].login({.client_id = "pub"});
    bed.works = false;
    bed["pub"].send(publish({.topic = "t", .level = 1, .packet_id = 1}));
    bed["pub"].expect_nothing();
    bed.core.unsubscribe_local(count);
    EXPECT_GE(work_to_the_end(), 3U);
    bed["pub"].expect(puback(1));
    const std::set<std::string> once(bed.hooks.local.begin(), bed.hooks.local.end());
    EXPECT_EQ(bed.hooks.local.size(), static_cast<std::size_t>(count - 1));
    EXPECT_EQ(once.size(), bed.hooks.local.size());
    for (int i = 1; i < count; ++i)
        bed.core.unsubscribe_local(static_cast<std::uint64_t>(i));
}

// -- packets with very many filters, and sessions with very many subscriptions

std::vector<std::string> many_filters(std::size_t count) {
    std::vector<std::string> filters;
    for (std::size_t i = 0; i < count; ++i)
        filters.push_back("f/" + std::to_string(i));
    return filters;
}

TEST_F(turns, end_a_subscribe_and_an_unsubscribe_with_many_filters) {
    constexpr std::size_t count = 5000;
    std::vector<std::pair<std::string, unsigned>> wanted;
    for (const std::string& each : many_filters(count))
        wanted.emplace_back(each, 1);
    bed["many"].login({.client_id = "many"});
    bed.works = false;
    bed["many"].send(subscribe(1, wanted) + pingreq());
    bed["many"].expect_nothing();
    EXPECT_LT(bed.core.routes().subscription_count(), count / 4);
    EXPECT_GT(work_to_the_end(), 5U);
    bed["many"].expect(suback(1, std::vector<unsigned>(count, 1))).expect(pingresp());
    bed["many"].send(unsubscribe(2, many_filters(count)) + pingreq());
    bed["many"].expect_nothing();
    EXPECT_GT(bed.core.routes().subscription_count(), count / 2);
    EXPECT_GT(work_to_the_end(), 5U);
    bed["many"].expect(unsuback(2)).expect(pingresp());
    EXPECT_EQ(bed.core.routes().subscription_count(), 1U);  // the victim's
}

std::vector<std::pair<std::string, unsigned>> subscriptions_to(std::vector<std::string> filters) {
    std::vector<std::pair<std::string, unsigned>> wanted;
    for (std::string& each : filters)
        wanted.emplace_back(std::move(each), 1);
    return wanted;
}

class checked_filters : public turns {
  protected:
    static constexpr std::size_t count = 5000;

    void SetUp() override {
        turns::SetUp();
        bed["many"].login({.client_id = "many"});
        bed.hooks.want({hook::check_subscribe});
        bed.works = false;
    }
    void subscribe_to_many() {
        bed["many"].send(subscribe(1, subscriptions_to(many_filters(count))) + pingreq());
        bed["many"].expect_nothing();
    }
    void answer(std::size_t n, verdict made) {
        bed.core.decide_topic(bed.hooks.topic_tickets.at(n), {made}, bed.now);
        bed.settle_now();
    }
};

TEST_F(checked_filters, are_decided_on_in_several_turns) {
    std::size_t asked = 0;
    bed.hooks.judge_topic = [&](std::string_view question) {
        ++asked;
        return question.ends_with('7') ? verdict::deny : verdict::allow;
    };
    subscribe_to_many();
    EXPECT_GT(asked, 0U);
    EXPECT_LT(asked, count / 4);
    EXPECT_GT(work_to_the_end(), 10U);
    EXPECT_EQ(asked, count);
    std::vector<unsigned> codes;
    for (std::size_t i = 0; i < count; ++i)
        codes.push_back(i % 10 == 7 ? 0x80 : 1);
    bed["many"].expect(suback(1, codes)).expect(pingresp());
    EXPECT_EQ(bed.core.routes().subscription_count(), count * 9 / 10 + 1);
}

TEST_F(checked_filters, may_be_answered_for_before_all_are_asked_about) {
    subscribe_to_many();
    const std::size_t at_first = bed.hooks.topic_tickets.size();
    EXPECT_LT(at_first, count / 4);
    for (std::size_t n = 0; n < at_first; ++n)
        answer(n, n == 0 ? verdict::deny : verdict::allow);
    bed["many"].expect_nothing();
    work_to_the_end();
    ASSERT_EQ(bed.hooks.topic_tickets.size(), count);
    EXPECT_FALSE(bed.hooks.has_work_left);
    for (std::size_t n = count; n-- > at_first;) {
        bed["many"].expect_nothing();
        answer(n, verdict::allow);
    }
    work_to_the_end();
    std::vector<unsigned> codes(count, 1);
    codes[0] = 0x80;
    bed["many"].expect(suback(1, codes)).expect(pingresp());
}

TEST_F(checked_filters, go_with_their_client) {
    subscribe_to_many();
    bed["many"].abort();
    EXPECT_GT(bed.hooks.topic_tickets.size(), 0U);
    for (std::size_t n = 0; n < bed.hooks.topic_tickets.size(); ++n)
        answer(n, verdict::allow);
    work_to_the_end();
    bed.reopen("many")
        .login({.client_id = "many"})
        .send(subscribe(2, subscriptions_to(many_filters(count))));
    work_to_the_end();
    bed["many"].abort();  // all are asked about
    for (std::size_t n = 0; n < bed.hooks.topic_tickets.size(); ++n)
        answer(n, verdict::allow);
    EXPECT_EQ(bed.core.routes().subscription_count(), 1U);  // the victim's
}

TEST_F(turns, end_the_removal_of_a_session) {
    constexpr std::size_t count = 5000;
    bed["many"].login({.client_id = "many"});
    bed["many"].send(subscribe(1, subscriptions_to(many_filters(count)))).take();
    bed.works = false;
    bed["many"].abort();
    EXPECT_EQ(bed.session_of("many"), nullptr);
    EXPECT_GT(bed.core.routes().subscription_count(), count / 2);
    // It gets nothing any more, and its name is free.
    bed.publish("f/4999", "x", qos::at_least_once);
    bed.reopen("many").login({.client_id = "many"}).subscribe("f/4999", 1);
    bed.publish("f/4999", "y", qos::at_least_once);
    bed["many"].expect(publish({.topic = "f/4999", .payload = "y", .level = 1, .packet_id = 1}));
    EXPECT_GT(work_to_the_end(), 5U);
    EXPECT_EQ(bed.core.routes().subscription_count(), 2U);
}

TEST_F(turns, end_the_delivery_of_a_long_queue) {
    bed["late"].login({.client_id = "late", .clean = false}).subscribe("q", 1).abort();
    constexpr std::size_t count = 20'000;
    for (std::size_t i = 0; i < count; ++i) {
        bed.core.enqueue(*bed.session_of("late"),
                         message::create("q", {}, qos::at_most_once, false));
    }
    bed.works = false;
    bed.reopen("late").send(connect({.client_id = "late", .clean = false}));
    const std::size_t at_first = bed["late"].take_packets().size();
    EXPECT_LT(at_first, count / 4);
    bed.works = true;
    bed.settle_now();
    EXPECT_EQ(bed["late"].take_packets().size() + at_first, count + 1);
}

// -- retained messages

TEST_F(turns, of_retained_messages_end_for_each_subscribe) {
    for (int i = 0; i < 20'000; ++i)
        bed.publish("r/" + std::to_string(i), "x", qos::at_most_once, true);
    bed["sub"].login({.client_id = "sub"});
    bed.works = false;
    bytes input;
    for (unsigned i = 0; i < 100; ++i)
        input = std::move(input) + subscribe(1, {{"r/+/none" + std::to_string(i), 0}});
    bed["sub"].send(input);
    expect_is_served(bed, "victim");
    EXPECT_GT(work_to_the_end(), 100U * 20'000 / work_budget::turn / 2);
    EXPECT_EQ(bed["sub"].take_packets().size(), 100U);
}

class retained_and_live : public testing::TestWithParam<std::size_t> {};

INSTANTIATE_TEST_SUITE_P(with_bound, retained_and_live, testing::Values(1, 2, 10, 100, 1000, 1024));

// Whatever is retained, a subscriber that reads slowly gets the live messages.
TEST_P(retained_and_live, messages_have_room_beside_each_other) {
    broker_settings settings;
    settings.queue.messages = GetParam();
    settings.max_inflight_messages = 10;
    broker_bed bed(settings);
    constexpr std::size_t count = 3000;
    for (std::size_t i = 0; i < count; ++i)
        bed.publish("r/" + std::to_string(i), "x", qos::at_least_once, true);
    peer& sub = bed["sub"].login({.client_id = "sub"});
    sub.send(subscribe(1, {{"#", 1}}));
    bed["pub"].login({.client_id = "pub"});
    const std::size_t live = std::max<std::size_t>(GetParam() / 2, 1);
    for (unsigned i = 1; i <= live; ++i)
        bed["pub"].send(publish({.topic = "live", .level = 1, .packet_id = i}));
    EXPECT_EQ(bed.core.stats().publish_dropped, 0U);
    EXPECT_LE(bed.queued("sub"), GetParam());
    // The subscriber acknowledges what it has got, again and again, and has all of them at the end.
    std::size_t got_live = 0;
    std::size_t got_retained = 0;
    for (bool more = true; more;) {
        more = false;
        for (const bytes& each : sub.take_packets()) {
            if (each.empty() || (each[0] & 0xF0) != 0x30) continue;
            const bool is_retained = (each[0] & 1) != 0;
            ++(is_retained ? got_retained : got_live);
            const std::size_t topic = each[3];
            sub.send(puback(each[4 + topic] * 256U + each[5 + topic]));
            more = true;
        }
    }
    EXPECT_EQ(got_live, live);
    EXPECT_EQ(got_retained, count);
}

}  // namespace
}  // namespace amqtt::test
