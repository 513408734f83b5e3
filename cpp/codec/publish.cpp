#include "codec/publish.hpp"

#include <cstring>

#include "codec/reader.hpp"
#include "codec/topic_syntax.hpp"
#include "codec/varint.hpp"

namespace amqtt {
namespace {

constexpr std::uint8_t dup_flag = 0x08;
constexpr std::uint8_t retain_flag = 0x01;

std::uint8_t* write_u16(std::uint8_t* place, std::size_t value) noexcept {
    *place++ = static_cast<std::uint8_t>(value >> 8);
    *place++ = static_cast<std::uint8_t>(value);
    return place;
}

// What Remaining Length counts.
std::uint32_t publish_remaining(const publish_packet& packet, protocol_version version) noexcept {
    std::size_t size = 2 + packet.topic.size() + packet.payload.size();
    if (packet.level != qos::at_most_once) size += 2;
    if (has_properties(version)) size += 1;
    return static_cast<std::uint32_t>(size);
}

property_scope scope_of(packet_type type) noexcept {
    switch (type) {
        case packet_type::puback: return property_scope::puback;
        case packet_type::pubrec: return property_scope::pubrec;
        case packet_type::pubrel: return property_scope::pubrel;
        default: return property_scope::pubcomp;
    }
}

}  // namespace

result<publish_packet> decode_publish(std::uint8_t flags, bytes_view body,
                                      protocol_version version) {
    publish_packet packet;
    const unsigned level = (flags >> 1) & 3;
    if (level == 3) return malformed("QoS of PUBLISH is 3");
    packet.level = static_cast<qos>(level);
    packet.dup = (flags & dup_flag) != 0;
    packet.retain = (flags & retain_flag) != 0;
    if (packet.dup && packet.level == qos::at_most_once) return malformed("DUP at QoS 0");
    reader in(body);
    packet.topic = in.utf8();
    if (packet.level != qos::at_most_once) packet.packet_id = in.u16();
    if (!in.ok()) return malformed("truncated or ill-formed PUBLISH");
    const bool may_be_alias = has_properties(version) && packet.topic.empty();
    if (!is_topic_name(packet.topic) && !may_be_alias) {
        return malformed("topic of PUBLISH is empty or has a wildcard");
    }
    if (packet.level != qos::at_most_once && packet.packet_id == 0) {
        return protocol_error("packet identifier of PUBLISH is 0");
    }
    if (has_properties(version)) {
        auto props = properties::decode(in, property_scope::publish);
        if (!props) return props.error();
        packet.props = std::move(*props);
    }
    packet.payload = in.rest();
    return packet;
}

std::size_t publish_header_size(const publish_packet& packet, protocol_version version) noexcept {
    return publish_size(packet, version) - packet.payload.size();
}

std::size_t publish_size(const publish_packet& packet, protocol_version version) noexcept {
    const std::uint32_t remaining = publish_remaining(packet, version);
    return 1 + varint_size(remaining) + remaining;
}

std::uint8_t* write_publish_header(std::uint8_t* place, const publish_packet& packet,
                                   protocol_version version) noexcept {
    std::uint8_t flags = static_cast<std::uint8_t>(to_byte(packet.level) << 1);
    if (packet.dup) flags |= dup_flag;
    if (packet.retain) flags |= retain_flag;
    *place++ = first_byte(packet_type::publish, flags);
    place = write_varint(place, publish_remaining(packet, version));
    place = write_u16(place, packet.topic.size());
    std::memcpy(place, packet.topic.data(), packet.topic.size());
    place += packet.topic.size();
    if (packet.level != qos::at_most_once) place = write_u16(place, packet.packet_id);
    if (has_properties(version)) *place++ = 0;
    return place;
}

result<ack_packet> decode_ack(packet_type type, bytes_view body, protocol_version version) {
    ack_packet packet;
    packet.type = type;
    reader in(body);
    packet.packet_id = in.u16();
    if (has_properties(version) && in.ok() && !in.at_end()) {
        packet.code = static_cast<reason_code>(in.u8());
        if (!in.at_end()) {
            auto props = properties::decode(in, scope_of(type));
            if (!props) return props.error();
            packet.props = std::move(*props);
        }
    }
    if (!in.ok() || !in.at_end()) return malformed("wrong length of an acknowledgement");
    if (packet.packet_id == 0) return protocol_error("packet identifier 0 acknowledged");
    return packet;
}

std::size_t write_ack(std::uint8_t* place, packet_type type, std::uint16_t packet_id,
                      reason_code code, protocol_version version) noexcept {
    const bool with_code = has_properties(version) && code != reason_code::success;
    place[0] = first_byte(type, required_flags(type));
    place[1] = with_code ? 3 : 2;
    write_u16(place + 2, packet_id);
    if (with_code) place[4] = to_byte(code);
    return with_code ? 5 : 4;
}

}  // namespace amqtt
