// Several clients of one broker, its clock and its policy do what the input says; counters and
// structures must agree all the time, and nothing may be left at the end.
#include <gtest/gtest.h>

#include "input.hpp"
#include "support/chaos.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace amqtt;
    using namespace amqtt::test;
    testing::GTEST_FLAG(break_on_failure) = true;
    fuzz::input in(data, size);
    const chooser choose = [&in](unsigned limit) { return in.number(limit); };
    broker_bed bed(tight_settings());
    bed.hooks.judge = [&](const client&) { return static_cast<verdict>(choose(4) % 3); };
    for (int turn = 0; turn < 200 && !in.empty(); ++turn) {
        const std::string name(1, static_cast<char>('0' + choose(4)));
        peer& on = bed[name].is_open() ? bed[name] : bed.reopen(name);
        do_something(choose, bed, on);
        bed.expect_consistent();
    }
    bed.hooks.judge = nullptr;
    end_all(bed);
    return 0;
}
