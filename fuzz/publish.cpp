// PUBLISH and acknowledgements of any version.
#include "codec/publish.hpp"

#include "allocations.hpp"
#include "codec/utf8.hpp"
#include "round_trip.hpp"

namespace {

using namespace amqtt;

// What a PUBLISH with the same meaning has, to be sent.
struct reply {
    explicit reply(const publish_packet& received)
        : forwarded(forwarded_properties(received.props)) {
        using id = property_id;
        const properties& props = received.props;
        packet.topic = received.topic;
        packet.payload = received.payload;
        packet.level = received.level;
        packet.retain = received.retain;
        packet.dup = received.dup;
        packet.packet_id = received.packet_id;
        packet.forwarded = forwarded;
        if (props.contains(id::message_expiry_interval)) {
            packet.expiry_interval = props.integer(id::message_expiry_interval, 0);
        }
        packet.topic_alias = static_cast<std::uint16_t>(props.integer(id::topic_alias, 0));
        for (const property& p : props.all()) {
            if (p.id == id::subscription_identifier)
                ids.push_back(std::get<std::uint32_t>(p.value));
        }
        packet.subscription_ids = ids;
    }

    std::vector<std::uint8_t> forwarded;
    std::vector<std::uint32_t> ids;
    outgoing_publish packet;
};

std::vector<std::uint8_t> written(const outgoing_publish& packet, protocol_version version) {
    const publish_lengths lengths = lengths_of(packet, version);
    std::vector<std::uint8_t> out(lengths.header);
    fuzz::check(write_publish_header(out.data(), packet, version, lengths) ==
                out.data() + out.size());
    out.insert(out.end(), packet.payload.begin(), packet.payload.end());
    return out;
}

void check_publish(std::uint8_t flags, bytes_view body, protocol_version version) {
    const auto packet = decode_publish(flags, body, version);
    if (!packet) return;
    fuzz::check(is_valid_utf8(packet->topic));
    fuzz::check((packet->packet_id == 0) == (packet->level == qos::at_most_once));
    fuzz::check(packet->topic.size() + packet->payload.size() < body.size());
    const reply first(*packet);
    const std::vector<std::uint8_t> once = written(first.packet, version);
    fuzz::check((once[0] & 0x0FU) == flags);
    const auto again = decode_publish(flags, fuzz::body_of(once), version);
    fuzz::check(again.has_value());
    const reply second(*again);
    fuzz::check(once == written(second.packet, version));
}

void check_ack(packet_type type, bytes_view body, protocol_version version) {
    const auto ack = decode_ack(type, body, version);
    if (!ack) return;
    std::uint8_t place[ack_size_max];
    const std::size_t size = write_ack(place, type, ack->packet_id, ack->code, version);
    const auto again = decode_ack(type, bytes_view(place, size).subspan(2), version);
    fuzz::check(again && again->packet_id == ack->packet_id && again->code == ack->code);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const std::uint8_t flags = in.byte() & 0x0F;
    const auto version = static_cast<protocol_version>(3 + in.byte() % 3);
    const bytes_view body = in.rest();
    const fuzz::allocation_bound bound(size);
    check_publish(flags, body, version);
    for (const auto type :
         {packet_type::puback, packet_type::pubrec, packet_type::pubrel, packet_type::pubcomp}) {
        check_ack(type, body, version);
    }
    return 0;
}
