// SUBSCRIBE, UNSUBSCRIBE and their answers, decoded, encoded and decoded again.
#include "codec/subscribe.hpp"

#include "codec/framer.hpp"
#include "input.hpp"

namespace {

using namespace amqtt;

// encode_packet and decode must undo each other.
template <class Decode, class Encode>
void round_trip(bytes_view body, const Decode& decode, const Encode& encode_packet) {
    const auto decoded = decode(body);
    if (!decoded) return;
    fuzz::check(decoded->packet_id != 0);
    std::vector<std::uint8_t> once;
    encode_packet(*decoded, once);
    const framing found = next_frame(once, once.size());
    fuzz::check(found.state == framing::status::complete);
    const auto again = decode(found.packet.body);
    fuzz::check(again.has_value());
    std::vector<std::uint8_t> twice;
    encode_packet(*again, twice);
    fuzz::check(once == twice);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const auto version = static_cast<protocol_version>(3 + in.byte() % 3);
    const bytes_view body = in.rest();
    const auto encode_any = [version](const auto& packet, std::vector<std::uint8_t>& out) {
        encode(packet, version, out);
    };
    round_trip(
        body, [&](bytes_view b) { return decode_subscribe(b, version); }, encode_any);
    round_trip(
        body, [&](bytes_view b) { return decode_unsubscribe(b, version); }, encode_any);
    round_trip(
        body, [&](bytes_view b) { return decode_suback(b, version); },
        [version](const suback_packet& p, auto& out) { encode_suback(p, version, out); });
    round_trip(
        body, [&](bytes_view b) { return decode_unsuback(b, version); },
        [version](const suback_packet& p, auto& out) { encode_unsuback(p, version, out); });
    return 0;
}
