#include "protocol/packet_output.hpp"

#include <cstring>
#include <vector>

#include "codec/publish.hpp"

namespace amqtt {

void append_publish(output_queue& out, protocol_version version, const delivery& d) {
    publish_packet packet;
    packet.topic = d.topic;
    packet.payload = d.payload;
    packet.level = d.level;
    packet.retain = d.retain;
    packet.dup = d.dup;
    packet.packet_id = d.packet_id;
    const std::size_t header = publish_header_size(packet, version);
    const bool whole_fits = header + d.payload.size() <= block_pool::block_size;
    if (whole_fits && (!d.shared || d.payload.size() <= copied_payload_max)) {
        std::uint8_t* place = out.allocate(header + d.payload.size());
        place = write_publish_header(place, packet, version);
        if (!d.payload.empty()) std::memcpy(place, d.payload.data(), d.payload.size());
        return;
    }
    if (header <= block_pool::block_size) {
        write_publish_header(out.allocate(header), packet, version);
    } else {  // a topic of tens of kilobytes
        std::vector<std::uint8_t> encoded(header);
        write_publish_header(encoded.data(), packet, version);
        out.append(encoded);
    }
    if (d.shared) {
        out.append_shared(d.shared, d.payload);
    } else {
        out.append(d.payload);
    }
}

void append_ack(output_queue& out, protocol_version version, packet_type type,
                std::uint16_t packet_id, reason_code code) {
    std::uint8_t encoded[ack_size_max];
    const std::size_t size = write_ack(encoded, type, packet_id, code, version);
    std::memcpy(out.allocate(size), encoded, size);
}

}  // namespace amqtt
