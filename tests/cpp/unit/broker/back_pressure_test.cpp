// Publishers that are faster than the one subscriber of their messages.
#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t bound = 64;  // of messages that wait for a subscriber

class back_pressure : public ::testing::Test {
  protected:
    back_pressure() : bed(settings()) {
        bed["s"].login({.client_id = "s"}).subscribe("t");
        bed["s"].stop_reading();
        bed["p"].login({.client_id = "p"});
        bed["q"].login({.client_id = "q"});
    }
    ~back_pressure() override { bed.expect_consistent(); }

    static broker_settings settings() {
        broker_settings those;
        those.queue.messages = bound;
        those.output_high_water = 100;
        return those;
    }
    static bytes messages(std::size_t count) {
        bytes all;
        for (std::size_t i = 0; i < count; ++i)
            all = all + publish({.topic = "t", .payload = std::to_string(i)});
        return all;
    }
    std::uint64_t dropped() const { return bed.core.stats().publish_dropped; }

    broker_bed bed;
};

TEST_F(back_pressure, nothing_is_lost_while_the_subscriber_takes_some) {
    constexpr std::size_t count = 20 * bound;
    bed["p"].send(messages(count));
    EXPECT_LE(bed.queued("s"), bound / 2 + 1);
    bytes got;
    while (got.size() < messages(count).size()) {
        bed["s"].read_some(200);
        const bytes some = bed["s"].take();
        ASSERT_FALSE(some.empty());
        got = got + some;
        EXPECT_LE(bed.queued("s"), bound / 2 + 1);
    }
    EXPECT_EQ(got, messages(count));
    EXPECT_EQ(dropped(), 0U);
}

TEST_F(back_pressure, several_publishers_wait_and_go_on) {
    bed["p"].send(messages(bound) + pingreq());
    bed["q"].send(messages(bound) + pingreq());
    bed["p"].expect_nothing();
    bed["q"].expect_nothing();
    bed["s"].read_on();
    bed["p"].expect(pingresp());
    bed["q"].expect(pingresp());
    EXPECT_EQ(bed["s"].take().size(), 2 * messages(bound).size());
    EXPECT_EQ(dropped(), 0U);
}

TEST_F(back_pressure, ends_when_the_subscriber_is_too_slow) {
    bed["p"].send(messages(2 * bound) + pingreq());
    bed.advance(200ms);
    bed["p"].expect_nothing();
    bed.advance(150ms);
    bed["p"].expect(pingresp());
    EXPECT_GT(dropped(), 0U);
    // It is not waited for again before it has taken everything.
    bed["q"].send(messages(bound) + pingreq()).expect(pingresp());
    bed["s"].read_on();
    bed["s"].stop_reading();
    bed["q"].send(messages(bound) + pingreq()).expect_nothing();
}

TEST_F(back_pressure, is_not_felt_by_publishers_to_others) {
    bed["p"].send(messages(bound));
    bed["other"].login({.client_id = "other"}).subscribe("u");
    bed["q"].send(publish({.topic = "u", .payload = "x"}));
    bed["other"].expect(publish({.topic = "u", .payload = "x"}));
}

TEST_F(back_pressure, one_of_several_subscribers_is_not_waited_for) {
    bed["other"].login({.client_id = "other"}).subscribe("t");
    bed["p"].send_split(messages(2 * bound), 5).send(pingreq()).expect(pingresp());
    EXPECT_EQ(bed["other"].take(), messages(2 * bound));
    EXPECT_GT(dropped(), 0U);
}

TEST_F(back_pressure, ends_with_the_subscriber) {
    bed["p"].send(messages(2 * bound) + pingreq()).expect_nothing();
    bed["s"].abort();
    bed["p"].expect(pingresp());
}

TEST_F(back_pressure, publisher_may_go_meanwhile) {
    bed["p"].send(messages(2 * bound));
    bed["p"].abort();
    bed["s"].read_on();
    EXPECT_GT(bed["s"].take().size(), 0U);
}

TEST_F(back_pressure, is_no_reason_to_time_out) {
    bed["k"].login({.client_id = "k", .keep_alive = 1});
    bed.advance(1400ms);
    bed["k"].send(messages(bound) + pingreq());
    bed.advance(200ms);
    bed["k"].expect_open();
    bed["s"].read_on();
    bed["k"].expect(pingresp());
}

TEST_F(back_pressure, is_not_put_on_oneself) {
    bed["e"].login({.client_id = "e"}).subscribe("own");
    bed["e"].stop_reading();
    bytes many;
    for (std::size_t i = 0; i < 2 * bound; ++i)
        many = many + publish({.topic = "own", .payload = "x"});
    bed["e"].send(many + publish({.topic = "seen", .payload = ""}));
    EXPECT_EQ(bed.core.stats().publish_received, 2 * bound + 1);
    EXPECT_GT(dropped(), 0U);
}

TEST_F(back_pressure, acknowledgements_relieve_too) {
    bed["one"].login({.client_id = "one"}).subscribe("a", 1);
    constexpr unsigned count = 2000;  // more than may be in flight, and than the queue may hold
    bytes sent;
    for (unsigned i = 1; i <= count; ++i)
        sent = sent + publish({.topic = "a", .payload = "x", .level = 1, .packet_id = i});
    bed["p"].send(sent);
    unsigned got = 0;
    while (got < count) {
        const auto packets = bed["one"].take_packets();
        ASSERT_FALSE(packets.empty());
        for (const bytes& each : packets) {
            got += 1;
            bed["one"].send(puback(static_cast<unsigned>(each[5] << 8 | each[6])));
        }
    }
    EXPECT_EQ(dropped(), 0U);
}

}  // namespace
}  // namespace amqtt::test
