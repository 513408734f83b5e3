// PUBLISH and acknowledgements of any version.
#include "codec/publish.hpp"

#include "codec/utf8.hpp"
#include "input.hpp"

using namespace amqtt;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const std::uint8_t flags = in.byte() & 0x0F;
    const auto version = static_cast<protocol_version>(3 + in.byte() % 3);
    const bytes_view body = in.rest();
    if (const auto packet = decode_publish(flags, body, version)) {
        fuzz::check(is_valid_utf8(packet->topic));
        fuzz::check((packet->packet_id == 0) == (packet->level == qos::at_most_once));
        fuzz::check(packet->topic.size() + packet->payload.size() < body.size());
    }
    for (const auto type :
         {packet_type::puback, packet_type::pubrec, packet_type::pubrel, packet_type::pubcomp}) {
        const auto ack = decode_ack(type, body, version);
        if (!ack || !ack->props.empty()) continue;
        std::uint8_t written[ack_size_max];
        const std::size_t length = write_ack(written, type, ack->packet_id, ack->code, version);
        const auto again = decode_ack(type, bytes_view(written, length).subspan(2), version);
        fuzz::check(again && again->packet_id == ack->packet_id && again->code == ack->code);
    }
    return 0;
}
