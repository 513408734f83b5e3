// Output of a connection: what one turn appends, gathers and forgets.
#include "base/output_queue.hpp"

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace {

using namespace amqtt;

void flush(output_queue& out) {
    std::array<bytes_view, 64> slices;
    while (!out.empty()) {
        std::size_t size = 0;
        const std::size_t count = out.gather(slices);
        for (std::size_t i = 0; i < count; ++i)
            size += slices[i].size();
        out.consume(size);
    }
}

// Frames of 80 bytes, as many as the argument says, in one flush.
void append_and_flush(benchmark::State& state) {
    block_pool pool;
    output_queue out(pool);
    const std::string frame(80, 'x');
    for (auto _ : state) {
        for (auto i = state.range(0); i > 0; --i)
            out.append(as_bytes(frame));
        flush(out);
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(append_and_flush)->Arg(1)->Arg(10)->Arg(1000);

// One frame to each of many connections, and then a flush of each.
void fan_out(benchmark::State& state) {
    block_pool pool;
    std::vector<std::unique_ptr<output_queue>> all;
    for (auto i = state.range(0); i > 0; --i)
        all.push_back(std::make_unique<output_queue>(pool));
    const std::string frame(80, 'x');
    for (auto _ : state) {
        for (const auto& out : all)
            out->append(as_bytes(frame));
        for (const auto& out : all)
            flush(*out);
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(fan_out)->Arg(100)->Arg(1000)->Arg(10000);

}  // namespace
