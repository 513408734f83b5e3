#include "protocol/packet_output.hpp"

#include <cstring>
#include <vector>

namespace amqtt {

bool append_publish(output_queue& out, protocol_version version, const outgoing_publish& packet,
                    const message_ptr& owner) {
    const bytes_view payload = packet.payload;
    const publish_lengths lengths = lengths_of(packet, version);
    const std::size_t header = lengths.header;
    if (header == 0) return false;
    const bool whole_fits = header + payload.size() <= block_pool::block_size;
    if (whole_fits && (!owner || payload.size() <= copied_payload_max)) {
        std::uint8_t* place = out.allocate(header + payload.size());
        place = write_publish_header(place, packet, version, lengths);
        if (!payload.empty()) std::memcpy(place, payload.data(), payload.size());
        return true;
    }
    if (header <= block_pool::block_size) {
        write_publish_header(out.allocate(header), packet, version, lengths);
    } else {  // tens of kilobytes of topic or properties
        std::vector<std::uint8_t> encoded(header);
        write_publish_header(encoded.data(), packet, version, lengths);
        out.append(encoded);
    }
    if (owner) {
        out.append_shared(owner, payload);
    } else {
        out.append(payload);
    }
    return true;
}

void append_ack(output_queue& out, protocol_version version, packet_type type,
                std::uint16_t packet_id, reason_code code) {
    std::uint8_t encoded[ack_size_max];
    const std::size_t size = write_ack(encoded, type, packet_id, code, version);
    std::memcpy(out.allocate(size), encoded, size);
}

}  // namespace amqtt
