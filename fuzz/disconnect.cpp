// DISCONNECT of any version, and AUTH.
#include "codec/disconnect.hpp"

#include "allocations.hpp"
#include "codec/auth.hpp"
#include "round_trip.hpp"

using namespace amqtt;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const auto version = static_cast<protocol_version>(3 + in.byte() % 3);
    const bytes_view body = in.rest();
    const fuzz::allocation_bound bound(size);
    const auto encode_any = [version](const auto& packet, auto& out) {
        return encode(packet, version, out);
    };
    const auto decoded = fuzz::round_trip(
        body, [version](bytes_view b) { return decode_disconnect(b, version); }, encode_any);
    fuzz::check(!decoded || has_properties(version) || body.empty());
    fuzz::round_trip(
        body, [](bytes_view b) { return decode_auth(b); }, encode_any);
    return 0;
}
