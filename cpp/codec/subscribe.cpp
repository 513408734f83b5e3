#include "codec/subscribe.hpp"

#include <optional>

#include "codec/packet_type.hpp"
#include "codec/reader.hpp"
#include "codec/reason_codes.hpp"
#include "codec/writer.hpp"

namespace amqtt {
namespace {

constexpr std::uint8_t no_local_bit = 0x04;
constexpr std::uint8_t retain_as_published_bit = 0x08;
constexpr std::uint8_t retain_handling_shift = 4;

result<subscription_options> decode_options(std::uint8_t byte, protocol_version version) {
    const std::uint8_t reserved = has_properties(version) ? 0xC0 : 0xFC;
    if (byte & reserved) return malformed("reserved bits of subscription options");
    if ((byte & 3) == 3) return protocol_error("requested QoS is 3");
    const unsigned handling = (byte >> retain_handling_shift) & 3;
    if (handling == 3) return protocol_error("Retain Handling is 3");
    subscription_options options;
    options.level = static_cast<qos>(byte & 3);
    options.no_local = (byte & no_local_bit) != 0;
    options.retain_as_published = (byte & retain_as_published_bit) != 0;
    options.retained = static_cast<retain_handling>(handling);
    return options;
}

std::uint8_t encode_options(const subscription_options& options,
                            protocol_version version) noexcept {
    std::uint8_t byte = to_byte(options.level);
    if (!has_properties(version)) return byte;
    if (options.no_local) byte |= no_local_bit;
    if (options.retain_as_published) byte |= retain_as_published_bit;
    byte |=
        static_cast<std::uint8_t>(static_cast<unsigned>(options.retained) << retain_handling_shift);
    return byte;
}

// Reads the packet identifier and the properties, the part all four packets share.
template <class Packet>
std::optional<protocol_violation> decode_head(reader& in, property_scope scope,
                                              protocol_version version, Packet& packet) {
    packet.packet_id = in.u16();
    if (!in.ok()) return malformed("truncated packet");
    if (packet.packet_id == 0) return protocol_error("packet identifier is 0");
    if (!has_properties(version)) return std::nullopt;
    auto props = properties::decode(in, scope);
    if (!props) return props.error();
    packet.props = std::move(*props);
    return std::nullopt;
}

template <class Packet>
bool encode_head(const Packet& packet, protocol_version version, std::vector<std::uint8_t>& body) {
    writer(body).u16(packet.packet_id);
    return !has_properties(version) || packet.props.encode(body);
}

protocol_violation too_many_filters() {
    return {reason_code::quota_exceeded, "too many topic filters in one packet"};
}

result<suback_packet> decode_codes(bytes_view body, property_scope scope,
                                   protocol_version version) {
    reader in(body);
    suback_packet packet;
    if (auto problem = decode_head(in, scope, version, packet)) return *problem;
    const packet_type type =
        scope == property_scope::suback ? packet_type::suback : packet_type::unsuback;
    for (const std::uint8_t byte : in.rest()) {
        const auto code = static_cast<reason_code>(byte);
        const bool known_to_v3 = byte <= 2 || code == reason_code::unspecified_error;
        if (!is_legal(type, code) || (!has_properties(version) && !known_to_v3)) {
            return illegal_reason_code();
        }
        packet.codes.push_back(code);
    }
    return packet;
}

void append_codes(const suback_packet& packet, std::vector<std::uint8_t>& body, bool plain_80) {
    for (const reason_code code : packet.codes) {
        body.push_back(plain_80 && is_failure(code) ? 0x80 : to_byte(code));
    }
}

}  // namespace

result<subscribe_packet> decode_subscribe(bytes_view body, protocol_version version) {
    reader in(body);
    subscribe_packet packet;
    if (auto problem = decode_head(in, property_scope::subscribe, version, packet)) return *problem;
    if (in.at_end()) return protocol_error("SUBSCRIBE without a topic filter");
    while (!in.at_end()) {
        const std::string_view filter = in.utf8();
        const std::uint8_t byte = in.u8();
        if (!in.ok()) return malformed("truncated or ill-formed SUBSCRIBE");
        if (filter.empty()) return malformed("empty topic filter");
        auto options = decode_options(byte, version);
        if (!options) return options.error();
        if (packet.requests.size() == most_filters) return too_many_filters();
        packet.requests.push_back({filter, *options});
    }
    return packet;
}

result<unsubscribe_packet> decode_unsubscribe(bytes_view body, protocol_version version) {
    reader in(body);
    unsubscribe_packet packet;
    if (auto problem = decode_head(in, property_scope::unsubscribe, version, packet)) {
        return *problem;
    }
    if (in.at_end()) return protocol_error("UNSUBSCRIBE without a topic filter");
    while (!in.at_end()) {
        const std::string_view filter = in.utf8();
        if (!in.ok()) return malformed("truncated or ill-formed UNSUBSCRIBE");
        if (filter.empty()) return malformed("empty topic filter");
        if (packet.filters.size() == most_filters) return too_many_filters();
        packet.filters.push_back(filter);
    }
    return packet;
}

result<suback_packet> decode_suback(bytes_view body, protocol_version version) {
    auto packet = decode_codes(body, property_scope::suback, version);
    if (packet && packet->codes.empty()) return malformed("SUBACK without a return code");
    return packet;
}

result<suback_packet> decode_unsuback(bytes_view body, protocol_version version) {
    auto packet = decode_codes(body, property_scope::unsuback, version);
    if (packet && packet->codes.empty() == has_properties(version)) {
        return malformed("wrong length of UNSUBACK");
    }
    return packet;
}

bool encode(const subscribe_packet& packet, protocol_version version,
            std::vector<std::uint8_t>& out) {
    std::vector<std::uint8_t> body;
    if (!encode_head(packet, version, body)) return false;
    writer to(body);
    for (const subscription_request& request : packet.requests) {
        to.utf8(request.filter);
        to.u8(encode_options(request.options, version));
    }
    return to.ok() && write_packet(out, packet_type::subscribe, body);
}

bool encode(const unsubscribe_packet& packet, protocol_version version,
            std::vector<std::uint8_t>& out) {
    std::vector<std::uint8_t> body;
    if (!encode_head(packet, version, body)) return false;
    writer to(body);
    for (const std::string_view filter : packet.filters)
        to.utf8(filter);
    return to.ok() && write_packet(out, packet_type::unsubscribe, body);
}

bool encode_suback(const suback_packet& packet, protocol_version version,
                   std::vector<std::uint8_t>& out) {
    std::vector<std::uint8_t> body;
    if (!encode_head(packet, version, body)) return false;
    append_codes(packet, body, !has_properties(version));
    return write_packet(out, packet_type::suback, body);
}

bool encode_unsuback(const suback_packet& packet, protocol_version version,
                     std::vector<std::uint8_t>& out) {
    std::vector<std::uint8_t> body;
    if (!encode_head(packet, version, body)) return false;
    if (has_properties(version)) append_codes(packet, body, false);
    return write_packet(out, packet_type::unsuback, body);
}

}  // namespace amqtt
