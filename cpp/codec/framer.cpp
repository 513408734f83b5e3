#include "codec/framer.hpp"

#include "codec/varint.hpp"

namespace amqtt {

framing next_frame(bytes_view data, std::size_t max_size) noexcept {
    using status = framing::status;
    if (data.size() < 2) return {status::incomplete, {}, 2};
    const varint_result length = read_varint(data.subspan(1));
    if (length.status == varint_status::malformed) return {status::malformed, {}, 0};
    if (length.status == varint_status::incomplete) {
        return {status::incomplete, {}, data.size() + 1};
    }
    const std::size_t header = 1 + length.size;
    const std::size_t whole = header + length.value;
    if (whole > max_size) return {status::too_large, {}, 0};
    if (data.size() < whole) return {status::incomplete, {}, whole};
    frame packet{static_cast<packet_type>(data[0] >> 4), static_cast<std::uint8_t>(data[0] & 0x0F),
                 data.subspan(header, length.value), whole,
                 length.size == varint_size(length.value)};
    return {status::complete, packet, 0};
}

const char* fixed_header_problem(const frame& packet, protocol_version version,
                                 tolerances tolerated) noexcept {
    // DUP of SUBSCRIBE, UNSUBSCRIBE and PUBREL marked a repetition in MQTT 3.1.
    constexpr std::uint8_t all_but_dup = 0x07;
    const std::uint8_t required = required_flags(packet.type);
    const bool dup_is_borne = required != 0 && (version == protocol_version::v3_1 ||
                                                tolerated.has(tolerance::dup_of_subscribe));
    const std::uint8_t flags = dup_is_borne ? packet.flags & all_but_dup : packet.flags;
    if (packet.type != packet_type::publish && flags != required) {
        return "reserved flags of the fixed header";
    }
    if (has_properties(version) && !packet.has_shortest_length) {
        return "Remaining Length is longer than it needs to be";
    }
    return nullptr;
}

}  // namespace amqtt
