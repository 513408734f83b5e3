// Packets of which only a part has come: how long they are waited for, and how much is kept.
#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t KiB = 1024;

broker_settings settings_with(duration timeout, std::size_t rate = 1024) {
    broker_settings settings;
    settings.limits.packet_timeout = timeout;
    settings.limits.min_packet_rate = rate;
    settings.limits.connect_timeout = 1h;
    settings.quotas.unfinished_bytes = 512 * KiB;
    return settings;
}

bytes part(std::size_t announced, std::size_t sent, std::uint8_t first = 0x30) {
    bytes made = wire("30 ff ff ff 7f");
    made[0] = first;
    for (int i = 0; i < 4; ++i)
        made[1 + i] = static_cast<std::uint8_t>((announced >> (7 * i) & 0x7F) | (i < 3 ? 0x80 : 0));
    made.resize(sent, 't');
    return made;
}

class unfinished_input : public testing::Test {
  protected:
    ~unfinished_input() override { bed_.expect_consistent(); }

    // A byte of a packet that does not end, twice a second.
    duration trickle(peer& p, duration most) {
        p.send(part(200'000'000, 5));
        for (duration passed{0}; passed < most; passed += 500ms) {
            bed_.advance(500ms);
            if (!p.is_open()) return passed;
            p.send(bytes{'x'});
        }
        return most;
    }

    broker_bed bed_{settings_with(20s)};
};

TEST_F(unfinished_input, is_not_waited_for_for_ever_without_keep_alive) {
    peer& c = bed_["c"];
    c.login({.client_id = "c", .keep_alive = 0});
    bed_.advance(1h, true);
    const duration passed = trickle(c, 60s);
    EXPECT_GE(passed, 19s);
    EXPECT_LE(passed, 21s);
    EXPECT_EQ(bed_.hooks.logs_with("limits.packet_timeout"), 1U);
}

TEST_F(unfinished_input, does_not_keep_a_client_alive) {
    peer& c = bed_["c"];
    c.login({.client_id = "c", .keep_alive = 4});
    EXPECT_LE(trickle(c, 60s), 7s);
    EXPECT_EQ(bed_.hooks.logs_with("keep alive timed out"), 1U);
    EXPECT_EQ(bed_.hooks.reasons, std::vector{reason_code::keep_alive_timeout});
}

TEST_F(unfinished_input, may_come_slowly_as_long_as_it_comes) {
    peer& c = bed_["c"];
    c.login({.client_id = "c", .keep_alive = 4});
    const std::string payload(200 * KiB, 'x');
    const bytes whole = publish({.topic = "t", .payload = payload, .level = 1, .packet_id = 1});
    // A hundred seconds, of which each brings twice of what has to come.
    for (std::size_t at = 0; at < whole.size(); at += 2 * KiB) {
        const std::size_t end = std::min(at + 2 * KiB, whole.size());
        c.send(bytes(whole.begin() + static_cast<std::ptrdiff_t>(at),
                     whole.begin() + static_cast<std::ptrdiff_t>(end)));
        bed_.advance(1s);
        ASSERT_TRUE(c.is_open()) << at;
    }
    c.expect(puback(1));
}

TEST_F(unfinished_input, that_nobody_listens_to_has_time) {
    bed_.hooks.want({hook::check_publish});
    peer& c = bed_["c"];
    c.login({.client_id = "c", .keep_alive = 0});
    const bytes next = publish({.topic = "t", .payload = "2", .level = 1, .packet_id = 2});
    c.send(publish({.topic = "t", .payload = "1", .level = 1, .packet_id = 1}) +
           bytes(next.begin(), next.begin() + 3));
    bed_.advance(29s);
    bed_.core.decide_topic(bed_.hooks.topic_tickets.at(0), {verdict::allow}, bed_.now);
    bed_.settle_now();
    c.expect(puback(1));
    bed_.advance(15s);
    c.send(bytes(next.begin() + 3, next.end()));
    bed_.core.decide_topic(bed_.hooks.topic_tickets.at(1), {verdict::allow}, bed_.now);
    bed_.settle_now();
    c.expect(puback(2)).expect_open();
    bed_.advance(1h, true);
    c.expect_open();
}

TEST_F(unfinished_input, is_bounded_for_all_clients_together) {
    std::size_t open = 0;
    for (int i = 0; i < 40; ++i) {
        peer& c = bed_["c" + std::to_string(i)];
        c.login({.client_id = "c" + std::to_string(i)});
        c.send(part(10'000'000, (i == 7 ? 100 : 20) * KiB));
    }
    for (int i = 0; i < 40; ++i)
        open += bed_["c" + std::to_string(i)].is_open() ? 1 : 0;
    EXPECT_FALSE(bed_["c7"].is_open());  // has more than anybody else
    EXPECT_GE(open, 20U);
    EXPECT_LE(open * 20, 512U);
    EXPECT_GE(bed_.hooks.logs_with("limits.max_unfinished_bytes"), 1U);
    // What they had is free again.
    bed_.abort_all();
    peer& late = bed_["late"];
    late.login({.client_id = "late"}).send(part(10'000'000, 500 * KiB));
    late.expect_open();
}

TEST_F(unfinished_input, of_strangers_leaves_room_to_clients) {
    peer& client = bed_["client"];
    client.login({.client_id = "client"}).send(part(10'000'000, 400 * KiB));
    int open = 0;
    for (int i = 0; i < 20; ++i) {
        const std::string name = "s" + std::to_string(i);
        bed_[name].send(part(200'000, 20 * KiB, 0x10));
    }
    for (int i = 0; i < 20; ++i)
        open += bed_["s" + std::to_string(i)].is_open() ? 1 : 0;
    EXPECT_GE(open, 5);
    EXPECT_LE(open, 6);
    client.expect_open();
    bed_["new"].login({.client_id = "new"}).send(pingreq()).expect(pingresp());
}

TEST_F(unfinished_input, says_in_mqtt_5_why_it_ends) {
    peer& c = bed_["c"];
    c.send(wire("10 0e 00 04 'MQTT' 05 02 00 00 00 00 01 'c'")).take();
    c.send(part(10'000'000, 600 * KiB));
    c.expect(wire("e0 01 97")).expect_closed();
}

TEST_F(unfinished_input, ends_at_the_first_byte_that_is_not_connect) {
    for (const char* first : {"00", "11", "20", "30", "82", "c0", "e0", "f0", "16", "47", "50"}) {
        peer& p = bed_.reopen("p");
        p.send(wire(first));
        p.expect_closed();
    }
    bed_["good"].send(wire("10")).expect_open();
}

}  // namespace
}  // namespace amqtt::test
