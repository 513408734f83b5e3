// The wire cases, against a broker in memory.
#include "support/vectors.hpp"

#include <gtest/gtest.h>

namespace amqtt::test {
namespace {

const std::vector<vector_case>& all_cases() {
    static const std::vector<vector_case> cases = load_vectors(AMQTT_VECTORS);
    return cases;
}

std::string name_of(const testing::TestParamInfo<vector_case>& info) {
    return info.param.name;
}

void run(const vector_case& which, std::size_t send_piece) {
    broker_bed bed;
    std::set<std::string> names;
    for (std::size_t i = 0; i < which.steps.size() && !testing::Test::HasFailure(); ++i) {
        SCOPED_TRACE("step " + std::to_string(i));
        perform(bed, which.steps[i], send_piece);
        names.insert(which.steps[i].on);
    }
    names.erase("");  // of the clock's steps
    for (const std::string& name : names)
        bed[name].expect_nothing();
    bed.expect_consistent();
}

class wire_case : public testing::TestWithParam<vector_case> {};

TEST_P(wire_case, in_whole_packets) {
    run(GetParam(), SIZE_MAX);
}

INSTANTIATE_TEST_SUITE_P(vectors, wire_case, testing::ValuesIn(all_cases()), name_of);

// What the broker does must not depend on how the stream is cut.
TEST(wire_cases, in_pieces) {
    for (const vector_case& which : all_cases()) {
        SCOPED_TRACE(which.name);
        std::size_t size = 0;
        for (const vector_step& step : which.steps) {
            if (step.what == action::send) size += step.packets.front().size();
        }
        run(which, size < 20'000 ? 1 : 977);
    }
}

// A peer may vanish at any moment.
TEST(wire_cases, cut_off_after_each_step) {
    for (const vector_case& which : all_cases()) {
        SCOPED_TRACE(which.name);
        for (std::size_t last = 0; last < which.steps.size(); ++last) {
            broker_bed bed;
            for (std::size_t i = 0; i <= last; ++i)
                perform_unchecked(bed, which.steps[i]);
            bed.abort_all();
            EXPECT_EQ(bed.core.stats().clients_connected, 0U) << "after step " << last;
            bed.expect_consistent();
        }
    }
}

TEST(wire_cases, are_found) {
    EXPECT_GT(all_cases().size(), 200U);
}

}  // namespace
}  // namespace amqtt::test
