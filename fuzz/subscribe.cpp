// SUBSCRIBE, UNSUBSCRIBE and their answers, decoded, encoded and decoded again.
#include "codec/subscribe.hpp"

#include "allocations.hpp"
#include "round_trip.hpp"

using namespace amqtt;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const auto version = static_cast<protocol_version>(3 + in.byte() % 3);
    const bytes_view body = in.rest();
    const fuzz::allocation_bound bound(size);
    const auto encode_any = [version](const auto& packet, std::vector<std::uint8_t>& out) {
        return encode(packet, version, out);
    };
    fuzz::round_trip(
        body, [&](bytes_view b) { return decode_subscribe(b, version); }, encode_any);
    fuzz::round_trip(
        body, [&](bytes_view b) { return decode_unsubscribe(b, version); }, encode_any);
    fuzz::round_trip(
        body, [&](bytes_view b) { return decode_suback(b, version); },
        [version](const suback_packet& p, auto& out) { return encode_suback(p, version, out); });
    fuzz::round_trip(
        body, [&](bytes_view b) { return decode_unsuback(b, version); },
        [version](const suback_packet& p, auto& out) { return encode_unsuback(p, version, out); });
    return 0;
}
