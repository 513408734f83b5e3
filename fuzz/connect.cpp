// What is decoded can be encoded, and then decodes to the same.
#include "codec/connect.hpp"

#include "codec/framer.hpp"
#include "input.hpp"

namespace {

using namespace amqtt;

bytes_view body_of(const std::vector<std::uint8_t>& packet) {
    const framing found = next_frame(packet, packet.size());
    fuzz::check(found.state == framing::status::complete && found.packet.size == packet.size());
    return found.packet.body;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const bytes_view body(data, size);
    for (const auto version :
         {protocol_version::v3_1, protocol_version::v3_1_1, protocol_version::v5_0})
        (void)decode_connack(body, version);
    const auto decoded = decode_connect(body);
    if (!decoded) return 0;
    std::vector<std::uint8_t> once;
    encode(*decoded, once);
    const auto again = decode_connect(body_of(once));
    fuzz::check(again.has_value());
    fuzz::check(again->client_id == decoded->client_id && again->version == decoded->version);
    std::vector<std::uint8_t> twice;
    encode(*again, twice);
    fuzz::check(once == twice);
    return 0;
}
