// Packets to bytes and back.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/output_queue.hpp"
#include "codec/framer.hpp"
#include "codec/publish.hpp"
#include "codec/utf8.hpp"
#include "codec/varint.hpp"
#include "protocol/packet_output.hpp"

namespace {

using namespace amqtt;

// A PUBLISH as a client of that version sends it.
std::vector<std::uint8_t> encoded(protocol_version version, qos level, std::string_view payload) {
    outgoing_publish packet;
    packet.topic = "sensors/kitchen/temperature";
    packet.payload = as_bytes(payload);
    packet.level = level;
    packet.packet_id = level == qos::at_most_once ? 0 : 1;
    const publish_lengths lengths = lengths_of(packet, version);
    std::vector<std::uint8_t> bytes(lengths.header + payload.size());
    std::uint8_t* place = write_publish_header(bytes.data(), packet, version, lengths);
    std::copy(payload.begin(), payload.end(), place);
    return bytes;
}

void decode(benchmark::State& state, protocol_version version, qos level) {
    const auto bytes = encoded(version, level, std::string(64, 'x'));
    for (auto _ : state) {
        const framing found = next_frame(bytes, varint_max);
        benchmark::DoNotOptimize(decode_publish(found.packet.flags, found.packet.body, version));
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(decode, publish_v3_q0, protocol_version::v3_1_1, qos::at_most_once);
BENCHMARK_CAPTURE(decode, publish_v3_q1, protocol_version::v3_1_1, qos::at_least_once);
BENCHMARK_CAPTURE(decode, publish_v5_q1, protocol_version::v5_0, qos::at_least_once);

void encode(benchmark::State& state, protocol_version version) {
    block_pool pool;
    output_queue out(pool);
    const std::string payload(static_cast<std::size_t>(state.range(0)), 'x');
    outgoing_publish packet;
    packet.topic = "sensors/kitchen/temperature";
    packet.payload = as_bytes(payload);
    for (auto _ : state) {
        append_publish(out, version, packet, nullptr);
        if (out.size() > 64 * 1024) out.clear();
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(encode, publish_v3, protocol_version::v3_1_1)->Arg(64)->Arg(1024)->Arg(16384);
BENCHMARK_CAPTURE(encode, publish_v5, protocol_version::v5_0)->Arg(64);

void check_utf8(benchmark::State& state) {
    const std::string text(static_cast<std::size_t>(state.range(0)), 'a');
    for (auto _ : state)
        benchmark::DoNotOptimize(is_valid_utf8(text));
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(check_utf8)->Arg(16)->Arg(1024);

}  // namespace
