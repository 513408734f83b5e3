// PUBLISH (section 3.3) and its acknowledgements (3.4 to 3.7).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/qos.hpp"
#include "base/reason_code.hpp"
#include "base/result.hpp"
#include "codec/packet_type.hpp"
#include "codec/properties.hpp"
#include "codec/protocol_version.hpp"
#include "codec/reason_codes.hpp"
#include "codec/tolerance.hpp"
#include "codec/varint.hpp"

namespace amqtt {

// Views of the packet it was decoded from.
struct publish_packet {
    std::string_view topic;
    bytes_view payload;
    qos level = qos::at_most_once;
    bool retain = false;
    bool dup = false;
    std::uint16_t packet_id = 0;  // 0 at QoS 0
    properties props;
};

result<publish_packet> decode_publish(std::uint8_t flags, bytes_view body, protocol_version version,
                                      tolerances tolerated = {});

// The topic in the body of a PUBLISH that was not looked at yet, unchecked; empty: it has none.
std::string_view peek_topic(bytes_view body) noexcept;

// The properties that are forwarded unaltered (5.0: MQTT-3.3.2-4, -15 to -18, -20), encoded.
std::vector<std::uint8_t> forwarded_properties(const properties& received);

// A PUBLISH to be sent.
struct outgoing_publish {
    std::string_view topic;  // may be empty when topic_alias is known to the receiver
    bytes_view payload;
    qos level = qos::at_most_once;
    bool retain = false;
    bool dup = false;
    std::uint16_t packet_id = 0;  // not sent at QoS 0
    // MQTT 5.0 only; in MQTT 3 they are not sent.
    bytes_view forwarded;                          // from forwarded_properties()
    std::optional<std::uint32_t> expiry_interval;  // seconds that are left
    std::span<const std::uint32_t> subscription_ids = {};
    std::uint16_t topic_alias = 0;  // 0: none
};

// How long the parts of a PUBLISH are.
struct publish_lengths {
    // Everything before the payload, fixed header included. 0: there is no such packet, because its
    // topic is longer than 65,535 bytes or it is longer than a Remaining Length can say.
    std::size_t header = 0;
    std::size_t remaining = 0;   // Remaining Length
    std::size_t properties = 0;  // Property Length
};

// Inline, as are the sizes below: it is asked for with each message that is sent.
inline publish_lengths lengths_of(const outgoing_publish& packet,
                                  protocol_version version) noexcept {
    publish_lengths lengths;
    if (packet.topic.size() > UINT16_MAX) return lengths;
    lengths.remaining = 2 + packet.topic.size() + packet.payload.size();
    if (packet.level != qos::at_most_once) lengths.remaining += 2;
    if (has_properties(version)) {
        lengths.properties = packet.forwarded.size();
        if (packet.expiry_interval) lengths.properties += 5;
        if (packet.topic_alias != 0) lengths.properties += 3;
        for (const std::uint32_t id : packet.subscription_ids)
            lengths.properties += 1 + varint_size(id);
        lengths.remaining += varint_size(lengths.properties) + lengths.properties;
    }
    if (const std::size_t length_size = varint_size(lengths.remaining)) {
        lengths.header = 1 + length_size + lengths.remaining - packet.payload.size();
    }
    return lengths;
}

// Length of the whole packet; 0: there is no such packet.
inline std::size_t publish_size(const outgoing_publish& packet, protocol_version version) noexcept {
    const std::size_t header = lengths_of(packet, version).header;
    return header == 0 ? 0 : header + packet.payload.size();
}

// No less than the packet takes in any version, with or without an alias; of one that does not
// exist, more than any packet takes.
inline std::size_t publish_size_bound(const outgoing_publish& packet) noexcept {
    if (packet.topic.size() > UINT16_MAX) return std::size_t{largest_packet_size} + 1;
    // Fixed header, lengths, packet identifier, and the properties of fixed size.
    constexpr std::size_t rest = 5 + 2 + 2 + 4 + 5 + 3;
    constexpr std::size_t subscription_id = 1 + 4;
    return packet.topic.size() + packet.payload.size() + packet.forwarded.size() +
           packet.subscription_ids.size() * subscription_id + rest;
}

// Writes everything before the payload at place, which has lengths.header bytes, and returns the
// byte after it; nothing when there is no such packet. Precondition: the lengths are its own.
std::uint8_t* write_publish_header(std::uint8_t* place, const outgoing_publish& packet,
                                   protocol_version version,
                                   const publish_lengths& lengths) noexcept;

// PUBACK, PUBREC, PUBREL and PUBCOMP differ in their type only.
struct ack_packet {
    packet_type type = packet_type::puback;
    std::uint16_t packet_id = 0;
    reason_code code = reason_code::success;
    properties props;
};

result<ack_packet> decode_ack(packet_type type, bytes_view body, protocol_version version,
                              sender from = sender::any);

// Longest acknowledgement without properties.
inline constexpr std::size_t ack_size_max = 5;

// Writes an acknowledgement without properties and returns its size.
std::size_t write_ack(std::uint8_t* place, packet_type type, std::uint16_t packet_id,
                      reason_code code, protocol_version version) noexcept;

}  // namespace amqtt
