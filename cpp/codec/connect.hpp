// CONNECT and CONNACK (sections 3.1 and 3.2).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/qos.hpp"
#include "base/reason_code.hpp"
#include "base/result.hpp"
#include "codec/properties.hpp"
#include "codec/protocol_version.hpp"
#include "codec/tolerance.hpp"

namespace amqtt {

struct will_fields {
    std::string_view topic;
    bytes_view payload;
    qos level = qos::at_most_once;
    bool retain = false;
    properties props;
};

// Views of the packet it was decoded from.
struct connect_packet {
    protocol_version version = protocol_version::v3_1_1;
    bool clean_start = true;  // Clean Session in MQTT 3
    bool is_bridge = false;   // the level has the bit that bridges of other brokers set
    std::uint16_t keep_alive = 0;
    std::string_view client_id;
    std::optional<will_fields> will;
    std::optional<std::string_view> user_name;
    std::optional<bytes_view> password;
    properties props;
};

// Decodes a CONNECT of any version. The violation is unsupported_protocol_version when the
// name is MQTT or MQIsdp but the level is not one of theirs, leaving the bridges' bit aside.
result<connect_packet> decode_connect(bytes_view body, tolerances tolerated = {});

// The version that a CONNECT asks for, if it is one of ours, however wrong the rest is.
std::optional<protocol_version> requested_version(bytes_view connect_body);

// The version to answer a CONNECT in that asks for none of ours: the nearest to it, if its protocol
// name is right.
std::optional<protocol_version> nearest_version(bytes_view connect_body);

// The properties of a CONNECT of 5.0, if they can be read, however wrong the rest is.
std::optional<properties> connect_properties(bytes_view connect_body);

// The Connect Flags that go with the fields of a packet (section 3.1.2.3).
std::uint8_t connect_flags(const connect_packet& packet) noexcept;

// Appends a CONNECT. False, and nothing is appended: a field or the packet is too long.
[[nodiscard]] bool encode(const connect_packet& packet, std::vector<std::uint8_t>& out);

struct connack_packet {
    bool session_present = false;
    reason_code code = reason_code::success;
    std::uint8_t v3_code = 0;  // the code as received, when decoded from MQTT 3
    properties props;
};

result<connack_packet> decode_connack(bytes_view body, protocol_version version);
[[nodiscard]] bool encode(const connack_packet& packet, protocol_version version,
                          std::vector<std::uint8_t>& out);

// The CONNACK return code of MQTT 3 for a reason; nothing when none fits and the connection is
// to be closed without CONNACK (3.1.1: MQTT-3.2.2-6).
std::optional<std::uint8_t> v3_connack_code(reason_code code) noexcept;

}  // namespace amqtt
