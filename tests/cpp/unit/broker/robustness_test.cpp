// Input that nobody would send, and peers that leave at any moment.
#include <random>

#include <gtest/gtest.h>

#include "support/chaos.hpp"
#include "support/random.hpp"

namespace amqtt::test {
namespace {

chooser random_from(std::mt19937& random) {
    return [&random](unsigned limit) { return below(random, limit); };
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
            c.send(any_bytes(random_from(random), 60));
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
            bytes data = any_packet(random_from(random), protocol_version::v3_1_1);
            if (random() % 2 == 0) data[random() % data.size()] ^= std::uint8_t(1U << random() % 8);
            c.send(data);
        }
        c.abort();
    }
    bed.expect_consistent();
    EXPECT_EQ(bed.core.stats().clients_connected, 0U);
}

// Several peers under few identifiers do valid things in any order; decisions come late.
TEST_P(robustness, valid_packets_in_any_order) {
    std::mt19937 random(GetParam());
    const chooser choose = random_from(random);
    broker_bed bed(tight_settings());
    bed.hooks.judge = [&](const client&) { return static_cast<verdict>(choose(3)); };
    for (int i = 0; i < 5'000; ++i) {
        const std::string name = "p" + std::to_string(choose(6));
        peer& on = bed[name].is_open() ? bed[name] : bed.reopen(name);
        do_something(choose, bed, on);
        if (i % 100 == 0) bed.expect_consistent();
    }
    bed.hooks.judge = nullptr;
    end_all(bed);
}

INSTANTIATE_TEST_SUITE_P(seeds, robustness, testing::Values(1U, 2U, 3U));

}  // namespace
}  // namespace amqtt::test
