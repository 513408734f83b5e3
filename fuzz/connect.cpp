// CONNECT and CONNACK of any version.
#include "codec/connect.hpp"

#include "allocations.hpp"
#include "codec/utf8.hpp"
#include "round_trip.hpp"

namespace {

using namespace amqtt;

void check_connect(bytes_view body) {
    const auto packet = fuzz::round_trip(
        body, [](bytes_view b) { return decode_connect(b); },
        [](const connect_packet& p, auto& out) { return encode(p, out); });
    if (!packet) return;
    fuzz::check(requested_version(body) == packet->version);
    fuzz::check(is_valid_utf8(packet->client_id));
    fuzz::check(!packet->will || !packet->will->topic.empty());
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const bytes_view body(data, size);
    const fuzz::allocation_bound bound(size);
    check_connect(body);
    for (const auto version :
         {protocol_version::v3_1, protocol_version::v3_1_1, protocol_version::v5_0}) {
        const auto decode = [version](bytes_view b) { return decode_connack(b, version); };
        if (version == protocol_version::v5_0) {
            fuzz::round_trip(body, decode, [version](const connack_packet& p, auto& out) {
                return encode(p, version, out);
            });
        } else {
            (void)decode(body);  // return codes that are not known have no reason to encode
        }
    }
    return 0;
}
