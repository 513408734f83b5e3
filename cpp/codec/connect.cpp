#include "codec/connect.hpp"

#include <utility>

#include "codec/packet_type.hpp"
#include "codec/reader.hpp"
#include "codec/reason_codes.hpp"
#include "codec/topic_syntax.hpp"
#include "codec/writer.hpp"

namespace amqtt {
namespace {

constexpr std::uint8_t user_name_flag = 0x80;
constexpr std::uint8_t password_flag = 0x40;
constexpr std::uint8_t will_retain_flag = 0x20;
constexpr std::uint8_t will_flag = 0x04;
constexpr std::uint8_t clean_start_flag = 0x02;
constexpr std::uint8_t reserved_flag = 0x01;
constexpr std::uint8_t will_qos_shift = 3;

std::optional<protocol_version> version_of(std::string_view name, int level) noexcept {
    if (name == "MQIsdp" && level == 3) return protocol_version::v3_1;
    if (name == "MQTT" && level == 4) return protocol_version::v3_1_1;
    if (name == "MQTT" && level == 5) return protocol_version::v5_0;
    return std::nullopt;
}

// Bridges of mosquitto and others set this bit of the level.
constexpr std::uint8_t bridge_bit = 0x80;

std::string_view name_of(protocol_version version) noexcept {
    return version == protocol_version::v3_1 ? "MQIsdp" : "MQTT";
}

// What is wrong with the flags byte on its own, or nullptr.
const char* flags_problem(std::uint8_t flags, protocol_version version,
                          tolerances tolerated) noexcept {
    const auto will_qos = (flags >> will_qos_shift) & 3;
    if ((flags & reserved_flag) && version != protocol_version::v3_1) {
        return "reserved flag of CONNECT is 1";
    }
    if (will_qos == 3) return "Will QoS is 3";
    if (!(flags & will_flag) && (will_qos != 0 || (flags & will_retain_flag))) {
        return "Will QoS or Will Retain without Will Flag";
    }
    const bool password_alone = (flags & password_flag) && !(flags & user_name_flag);
    if (password_alone && version != protocol_version::v5_0 &&
        !tolerated.has(tolerance::password_without_user_name)) {
        return "password without user name";
    }
    return nullptr;
}

// In MQTT 3.1 the Remaining Length wins over the flags of the last two fields.
bool field_is_there(std::uint8_t flags, std::uint8_t flag, const reader& in,
                    protocol_version version) noexcept {
    if (!(flags & flag)) return false;
    return version != protocol_version::v3_1 || !in.at_end();
}

result<will_fields> decode_will(reader& in, std::uint8_t flags, protocol_version version) {
    will_fields will;
    will.level = static_cast<qos>((flags >> will_qos_shift) & 3);
    will.retain = (flags & will_retain_flag) != 0;
    if (has_properties(version)) {
        auto props = properties::decode(in, property_scope::will);
        if (!props) return props.error();
        will.props = std::move(*props);
    }
    will.topic = in.utf8();
    will.payload = in.binary();
    if (in.ok() && !is_topic_name(will.topic)) {
        return protocol_violation{reason_code::topic_name_invalid, "Will Topic is no topic name"};
    }
    if (const char* problem = response_topic_problem(will.props)) return protocol_error(problem);
    return will;
}

}  // namespace

std::optional<protocol_version> requested_version(bytes_view connect_body) {
    reader in(connect_body);
    const std::string_view name = in.utf8();
    const std::uint8_t level = in.u8();
    return in.ok() ? version_of(name, level & ~bridge_bit) : std::nullopt;
}

std::optional<protocol_version> nearest_version(bytes_view connect_body) {
    reader in(connect_body);
    const std::string_view name = in.utf8();
    const int level = in.u8() & ~bridge_bit;
    if (!in.ok()) return std::nullopt;
    if (name == "MQIsdp") return protocol_version::v3_1;
    if (name != "MQTT") return std::nullopt;
    return level >= 5 ? protocol_version::v5_0 : protocol_version::v3_1_1;
}

std::optional<properties> connect_properties(bytes_view connect_body) {
    reader in(connect_body);
    (void)in.utf8();
    (void)in.bytes(1 + 1 + 2);  // level, flags, keep alive
    if (!in.ok()) return std::nullopt;
    auto found = properties::decode(in, property_scope::connect);
    return found ? std::optional(std::move(*found)) : std::nullopt;
}

result<connect_packet> decode_connect(bytes_view body, tolerances tolerated) {
    reader in(body);
    const std::string_view name = in.utf8();
    const std::uint8_t level = in.u8();
    if (!in.ok()) return malformed("truncated CONNECT");
    if (name != "MQTT" && name != "MQIsdp") return malformed("unknown protocol name");
    const auto version = version_of(name, level & ~bridge_bit);
    if (!version) {
        return protocol_violation{reason_code::unsupported_protocol_version,
                                  "unsupported protocol level"};
    }
    connect_packet packet;
    packet.version = *version;
    packet.is_bridge = (level & bridge_bit) != 0;
    const std::uint8_t flags = in.u8();
    packet.keep_alive = in.u16();
    if (const char* problem = flags_problem(flags, *version, tolerated)) return malformed(problem);
    packet.clean_start = (flags & clean_start_flag) != 0;
    if (has_properties(*version)) {
        auto props = properties::decode(in, property_scope::connect);
        if (!props) return props.error();
        packet.props = std::move(*props);
    }
    packet.client_id = in.utf8();
    if (flags & will_flag) {
        auto will = decode_will(in, flags, *version);
        if (!will) return will.error();
        packet.will = std::move(*will);
    }
    if (field_is_there(flags, user_name_flag, in, *version)) packet.user_name = in.utf8();
    if (field_is_there(flags, password_flag, in, *version)) packet.password = in.binary();
    if (!in.ok()) return malformed("truncated or ill-formed CONNECT");
    const bool data_alone = packet.props.contains(property_id::authentication_data) &&
                            !packet.props.contains(property_id::authentication_method);
    if (data_alone) return protocol_error("Authentication Data without Authentication Method");
    if (!in.at_end()) return malformed("bytes behind the payload of CONNECT");
    return packet;
}

std::uint8_t connect_flags(const connect_packet& packet) noexcept {
    std::uint8_t flags = packet.clean_start ? clean_start_flag : 0;
    if (packet.user_name) flags |= user_name_flag;
    if (packet.password) flags |= password_flag;
    if (packet.will) {
        flags |= will_flag;
        flags |= static_cast<std::uint8_t>(to_byte(packet.will->level) << will_qos_shift);
        if (packet.will->retain) flags |= will_retain_flag;
    }
    return flags;
}

// Bytes of a CONNECT with nothing but a client identifier: name, level, flags, keep alive, lengths.
constexpr std::size_t fixed_part = 15;

bool encode(const connect_packet& packet, std::vector<std::uint8_t>& out) {
    const std::uint8_t flags = connect_flags(packet);
    std::vector<std::uint8_t> body;
    body.reserve(fixed_part + packet.client_id.size());
    writer to(body);
    to.utf8(name_of(packet.version));
    to.u8(static_cast<std::uint8_t>(packet.version));
    to.u8(flags);
    to.u16(packet.keep_alive);
    if (has_properties(packet.version) && !packet.props.encode(body)) return false;
    to.utf8(packet.client_id);
    if (packet.will) {
        if (has_properties(packet.version) && !packet.will->props.encode(body)) return false;
        to.utf8(packet.will->topic);
        to.binary(packet.will->payload);
    }
    if (packet.user_name) to.utf8(*packet.user_name);
    if (packet.password) to.binary(*packet.password);
    return to.ok() && write_packet(out, packet_type::connect, body);
}

std::optional<std::uint8_t> v3_connack_code(reason_code code) noexcept {
    switch (code) {
        case reason_code::success:
            return 0;
        case reason_code::unsupported_protocol_version:
            return 1;
        case reason_code::client_identifier_not_valid:
            return 2;
        case reason_code::server_unavailable:
        case reason_code::server_busy:
        case reason_code::quota_exceeded:
            return 3;
        case reason_code::bad_user_name_or_password:
            return 4;
        case reason_code::not_authorized:
        case reason_code::banned:
            return 5;
        default:
            return std::nullopt;
    }
}

namespace {

reason_code reason_of_v3(std::uint8_t code) noexcept {
    switch (code) {
        case 0:
            return reason_code::success;
        case 1:
            return reason_code::unsupported_protocol_version;
        case 2:
            return reason_code::client_identifier_not_valid;
        case 3:
            return reason_code::server_unavailable;
        case 4:
            return reason_code::bad_user_name_or_password;
        case 5:
            return reason_code::not_authorized;
        default:
            return reason_code::unspecified_error;
    }
}

}  // namespace

result<connack_packet> decode_connack(bytes_view body, protocol_version version) {
    reader in(body);
    connack_packet packet;
    const std::uint8_t flags = in.u8();
    const std::uint8_t code = in.u8();
    if (!in.ok()) return malformed("truncated CONNACK");
    if (flags > 1 && version != protocol_version::v3_1) {
        return malformed("reserved flags of CONNACK");
    }
    packet.session_present = version != protocol_version::v3_1 && flags == 1;
    if (has_properties(version)) {
        auto props = properties::decode(in, property_scope::connack);
        if (!props) return props.error();
        packet.props = std::move(*props);
        packet.code = static_cast<reason_code>(code);
        if (!is_legal(packet_type::connack, packet.code)) return illegal_reason_code();
    } else {
        packet.v3_code = code;
        packet.code = reason_of_v3(code);
    }
    if (!in.at_end()) return malformed("bytes behind CONNACK");
    return packet;
}

bool encode(const connack_packet& packet, protocol_version version,
            std::vector<std::uint8_t>& out) {
    std::vector<std::uint8_t> body;
    writer to(body);
    to.u8(packet.session_present && version != protocol_version::v3_1 ? 1 : 0);
    if (has_properties(version)) {
        to.u8(to_byte(packet.code));
        if (!packet.props.encode(body)) return false;
    } else {
        to.u8(v3_connack_code(packet.code).value_or(3));
    }
    return write_packet(out, packet_type::connack, body);
}

}  // namespace amqtt
