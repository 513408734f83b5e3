// SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (sections 3.8 to 3.11).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/qos.hpp"
#include "base/reason_code.hpp"
#include "base/result.hpp"
#include "codec/properties.hpp"
#include "codec/protocol_version.hpp"

namespace amqtt {

enum class retain_handling : std::uint8_t { send = 0, send_if_new = 1, do_not_send = 2 };

struct subscription_options {
    qos level = qos::at_most_once;
    bool no_local = false;
    bool retain_as_published = false;
    retain_handling retained = retain_handling::send;

    friend bool operator==(const subscription_options&, const subscription_options&) = default;
};

struct subscription_request {
    std::string_view filter;  // its wildcard syntax is not checked
    subscription_options options;
};

// More in one packet are refused: in memory each takes several times the bytes it has there.
inline constexpr std::size_t most_filters = 100'000;

// Views of the packet it was decoded from.
struct subscribe_packet {
    std::uint16_t packet_id = 0;
    std::vector<subscription_request> requests;  // at least one, most_filters at most
    properties props;
};

struct unsubscribe_packet {
    std::uint16_t packet_id = 0;
    std::vector<std::string_view> filters;  // at least one, most_filters at most
    properties props;
};

// SUBACK or UNSUBACK.
struct suback_packet {
    std::uint16_t packet_id = 0;
    std::vector<reason_code> codes;  // one a filter, in their order; none in UNSUBACK of MQTT 3
    properties props;
};

result<subscribe_packet> decode_subscribe(bytes_view body, protocol_version version);
result<unsubscribe_packet> decode_unsubscribe(bytes_view body, protocol_version version);
result<suback_packet> decode_suback(bytes_view body, protocol_version version);
result<suback_packet> decode_unsuback(bytes_view body, protocol_version version);

// Each appends a packet. False, and nothing is appended: a field or the packet is too long.
[[nodiscard]] bool encode(const subscribe_packet& packet, protocol_version version,
                          std::vector<std::uint8_t>& out);
[[nodiscard]] bool encode(const unsubscribe_packet& packet, protocol_version version,
                          std::vector<std::uint8_t>& out);
[[nodiscard]] bool encode_suback(const suback_packet& packet, protocol_version version,
                                 std::vector<std::uint8_t>& out);
[[nodiscard]] bool encode_unsuback(const suback_packet& packet, protocol_version version,
                                   std::vector<std::uint8_t>& out);

}  // namespace amqtt
