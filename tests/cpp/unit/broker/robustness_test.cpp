// Input that nobody would send, and peers that leave at any moment.
#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "support/broker_bed.hpp"
#include "support/random.hpp"

namespace amqtt::test {
namespace {

bytes random_bytes(std::mt19937& random, std::size_t most) {
    bytes data(random() % most);
    for (std::uint8_t& byte : data)
        byte = static_cast<std::uint8_t>(random());
    return data;
}

// Some valid packet of a client.
bytes random_packet(std::mt19937& random) {
    static const std::vector<std::string> topics{"a", "a/b", "$x", "b", "a/b/c"};
    static const std::vector<std::string> filters{"a", "#", "a/+", "+/b/#", "$x", "b#", "+"};
    const unsigned id = 1 + below(random, 4);
    const std::string& topic = topics[random() % topics.size()];
    const std::string& filter = filters[random() % filters.size()];
    switch (random() % 13) {
        case 0:
            return connect({.client_id = "c" + std::to_string(random() % 4),
                            .clean = random() % 2 == 0,
                            .keep_alive = below(random, 3),
                            .will = {{"a", "gone", below(random, 3), random() % 2 == 0}}});
        case 1:
        case 2:
        case 3:
            return publish({.topic = topic,
                            .payload = std::string(random() % 50, 'p'),
                            .level = below(random, 3),
                            .packet_id = id,
                            .retain = random() % 3 == 0});
        case 4:
            return puback(id);
        case 5:
            return pubrec(id);
        case 6:
            return pubrel(id);
        case 7:
            return pubcomp(id);
        case 8:
        case 9:
            return subscribe(id, {{filter, below(random, 3)}, {topic, 1}});
        case 10:
            return unsubscribe(id, {filter});
        case 11:
            return pingreq();
        default:
            return random() % 5 == 0 ? disconnect() : pingreq();
    }
}

broker_settings tight_settings() {
    broker_settings settings;
    settings.limits.max_packet_size = 2000;
    settings.max_inflight_messages = 2;
    settings.queue = {4, 200};
    settings.output_high_water = 100;
    settings.session_expiry = std::chrono::seconds(2);
    return settings;
}

class robustness : public testing::TestWithParam<unsigned> {};

TEST_P(robustness, any_bytes_after_connect) {
    std::mt19937 random(GetParam());
    for (int round = 0; round < 300; ++round) {
        broker_bed bed(tight_settings());
        bed["other"].login({.client_id = "other"}).subscribe("#", 1);
        peer& c = bed["c"];
        if (round % 4 != 0) c.login({.client_id = "c", .clean = round % 2 == 0});
        for (int i = 0; i < 5; ++i)
            c.send(random_bytes(random, 60));
        bed.expect_consistent();
        bed["other"].expect_open();
    }
}

TEST_P(robustness, packets_with_single_bytes_changed) {
    std::mt19937 random(GetParam());
    broker_bed bed(tight_settings());
    for (int round = 0; round < 1000; ++round) {
        peer& c = bed.reopen("c");
        if (round % 3 != 0) c.send(connect({.client_id = "c" + std::to_string(random() % 5)}));
        for (int i = 0; i < 4; ++i) {
            bytes data = random_packet(random);
            if (random() % 2 == 0) data[random() % data.size()] ^= std::uint8_t(1U << random() % 8);
            c.send(data);
        }
        c.abort();
    }
    bed.expect_consistent();
    EXPECT_EQ(bed.core.stats().clients_connected, 0U);
}

// What a peer, the clock or the policy may do next.
void do_something(std::mt19937& random, broker_bed& bed, peer& on) {
    const auto asked = static_cast<unsigned>(bed.hooks.tickets.size());
    switch (below(random, 40)) {
        case 0:
            on.abort();
            break;
        case 1:
            on.stop_reading();
            break;
        case 2:
            on.read_on();
            break;
        case 3:
            bed.advance(std::chrono::milliseconds(below(random, 2000)));
            break;
        case 4:
        case 5:
            if (asked > 0) {
                const unsigned back = below(random, std::min(asked, 6U));
                bed.decide(asked - 1 - back, random() % 3 != 0);
            }
            break;
        case 6:
            bed.publish("$x", "p", {}, true);
            break;
        default:
            on.send(random_packet(random));
    }
}

// Several peers under few identifiers do valid things in any order; decisions come late.
TEST_P(robustness, valid_packets_in_any_order) {
    std::mt19937 random(GetParam());
    broker_bed bed(tight_settings());
    bed.hooks.judge = [&](const client&) { return static_cast<verdict>(random() % 3); };
    for (int i = 0; i < 5'000; ++i) {
        const std::string name = "p" + std::to_string(below(random, 6));
        peer& on = bed[name].is_open() ? bed[name] : bed.reopen(name);
        do_something(random, bed, on);
        if (i % 100 == 0) bed.expect_consistent();
    }
    bed.abort_all();
    bed.expect_consistent();
    bed.advance(std::chrono::seconds(3));
    EXPECT_EQ(bed.core.sessions().size(), 0U);
    EXPECT_EQ(bed.core.routes().subscription_count(), 0U);
}

INSTANTIATE_TEST_SUITE_P(seeds, robustness, testing::Values(1U, 2U, 3U));

}  // namespace
}  // namespace amqtt::test
