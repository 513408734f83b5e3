#include "codec/publish.hpp"

#include <cstring>

#include "codec/reader.hpp"
#include "codec/reason_codes.hpp"
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

std::uint8_t* write_u32(std::uint8_t* place, std::uint32_t value) noexcept {
    return write_u16(write_u16(place, value >> 16), value & 0xFFFF);
}

constexpr std::uint8_t id_of(property_id id) noexcept {
    return static_cast<std::uint8_t>(id);
}

std::uint8_t* write_properties(std::uint8_t* place, const outgoing_publish& packet,
                               std::size_t property_length) noexcept {
    place = write_varint(place, property_length);
    if (property_length == 0) return place;
    if (packet.expiry_interval) {
        *place++ = id_of(property_id::message_expiry_interval);
        place = write_u32(place, *packet.expiry_interval);
    }
    if (packet.topic_alias != 0) {
        *place++ = id_of(property_id::topic_alias);
        place = write_u16(place, packet.topic_alias);
    }
    for (const std::uint32_t id : packet.subscription_ids) {
        *place++ = id_of(property_id::subscription_identifier);
        place = write_varint(place, id);
    }
    if (!packet.forwarded.empty()) {
        std::memcpy(place, packet.forwarded.data(), packet.forwarded.size());
        place += packet.forwarded.size();
    }
    return place;
}

bool is_forwarded(property_id id) noexcept {
    switch (id) {
        case property_id::payload_format_indicator:
        case property_id::content_type:
        case property_id::response_topic:
        case property_id::correlation_data:
        case property_id::user_property:
            return true;
        default:
            return false;
    }
}

}  // namespace

std::string_view peek_topic(bytes_view body) noexcept {
    reader in(body);
    const bytes_view topic = in.binary();
    return in.ok() ? as_text(topic) : std::string_view();
}

result<publish_packet> decode_publish(std::uint8_t flags, bytes_view body, protocol_version version,
                                      tolerances tolerated) {
    publish_packet packet;
    const unsigned level = (flags >> 1) & 3;
    if (level == 3) return malformed("QoS of PUBLISH is 3");
    packet.level = static_cast<qos>(level);
    packet.dup = (flags & dup_flag) != 0;
    packet.retain = (flags & retain_flag) != 0;
    if (packet.dup && packet.level == qos::at_most_once) {
        if (!tolerated.has(tolerance::dup_at_qos_0)) return malformed("DUP at QoS 0");
        packet.dup = false;
    }
    reader in(body);
    packet.topic = in.utf8();
    if (packet.level != qos::at_most_once) packet.packet_id = in.u16();
    if (!in.ok()) return malformed("truncated or ill-formed PUBLISH");
    const bool may_be_alias = has_properties(version) && packet.topic.empty();
    if (!is_topic_name(packet.topic) && !may_be_alias) {
        return protocol_violation{
            packet.topic.empty() ? reason_code::protocol_error : reason_code::topic_name_invalid,
            "topic of PUBLISH is empty or has a wildcard"};
    }
    if (packet.level != qos::at_most_once && packet.packet_id == 0) {
        return protocol_error("packet identifier of PUBLISH is 0");
    }
    if (has_properties(version) && !in.skip(0)) {  // most have none
        auto props = properties::decode(in, property_scope::publish);
        if (!props) return props.error();
        packet.props = std::move(*props);
        if (const char* problem = response_topic_problem(packet.props)) {
            return protocol_error(problem);
        }
    }
    packet.payload = in.rest();
    return packet;
}

std::vector<std::uint8_t> forwarded_properties(const properties& received) {
    std::vector<std::uint8_t> encoded;
    for (const property& p : received.all()) {
        // What came in a packet has its place in one.
        if (is_forwarded(p.id)) (void)encode_property(p, encoded);
    }
    return encoded;
}

std::uint8_t* write_publish_header(std::uint8_t* place, const outgoing_publish& packet,
                                   protocol_version version,
                                   const publish_lengths& lengths) noexcept {
    auto flags = static_cast<std::uint8_t>(to_byte(packet.level) << 1);
    if (packet.dup) flags |= dup_flag;
    if (packet.retain) flags |= retain_flag;
    if (lengths.header == 0) return place;
    *place++ = first_byte(packet_type::publish, flags);
    place = write_varint(place, lengths.remaining);
    place = write_u16(place, packet.topic.size());
    if (!packet.topic.empty()) std::memcpy(place, packet.topic.data(), packet.topic.size());
    place += packet.topic.size();
    if (packet.level != qos::at_most_once) place = write_u16(place, packet.packet_id);
    return has_properties(version) ? write_properties(place, packet, lengths.properties) : place;
}

result<ack_packet> decode_ack(packet_type type, bytes_view body, protocol_version version,
                              sender from) {
    ack_packet packet;
    packet.type = type;
    reader in(body);
    packet.packet_id = in.u16();
    if (has_properties(version) && in.ok() && !in.at_end()) {
        packet.code = static_cast<reason_code>(in.u8());
        if (!in.at_end()) {
            auto props = properties::decode(in, *property_scope_of(type));
            if (!props) return props.error();
            packet.props = std::move(*props);
        }
    }
    if (!in.ok() || !in.at_end()) return malformed("wrong length of an acknowledgement");
    if (packet.packet_id == 0) return protocol_error("packet identifier 0 acknowledged");
    if (packet.code != reason_code::success && !is_legal(type, packet.code, from)) {
        return illegal_reason_code();
    }
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
