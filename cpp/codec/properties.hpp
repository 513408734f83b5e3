// Properties of MQTT 5.0 (section 2.2.2).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "codec/packet_type.hpp"
#include "codec/reader.hpp"

namespace amqtt {

enum class property_id : std::uint8_t {
    payload_format_indicator = 0x01,
    message_expiry_interval = 0x02,
    content_type = 0x03,
    response_topic = 0x08,
    correlation_data = 0x09,
    subscription_identifier = 0x0B,
    session_expiry_interval = 0x11,
    assigned_client_identifier = 0x12,
    server_keep_alive = 0x13,
    authentication_method = 0x15,
    authentication_data = 0x16,
    request_problem_information = 0x17,
    will_delay_interval = 0x18,
    request_response_information = 0x19,
    response_information = 0x1A,
    server_reference = 0x1C,
    reason_string = 0x1F,
    receive_maximum = 0x21,
    topic_alias_maximum = 0x22,
    topic_alias = 0x23,
    maximum_qos = 0x24,
    retain_available = 0x25,
    user_property = 0x26,
    maximum_packet_size = 0x27,
    wildcard_subscription_available = 0x28,
    subscription_identifier_available = 0x29,
    shared_subscription_available = 0x2A,
};

// Where a property may appear: a packet that carries properties, or the will of a CONNECT.
enum class property_scope : std::uint8_t {
    connect,
    connack,
    publish,
    will,
    puback,
    pubrec,
    pubrel,
    pubcomp,
    subscribe,
    suback,
    unsubscribe,
    unsuback,
    disconnect,
    auth,
};

// The scope of the properties in the variable header of a packet; nothing when it has none.
std::optional<property_scope> property_scope_of(packet_type type) noexcept;

// How the value of a property is kept.
enum class property_kind : std::uint8_t { integer, text, binary, pair };

property_kind kind_of(property_id id) noexcept;

// Whether a property may have an integer as its value, and has a place for it.
bool is_legal_value(property_id id, std::uint32_t value) noexcept;

struct user_property {
    std::string_view name;
    std::string_view value;

    friend bool operator==(const user_property&, const user_property&) = default;
};

// Integers of every width are kept as 32 bits; text and binary as views of the packet.
struct property {
    property_id id;
    std::variant<std::uint32_t, std::string_view, bytes_view, user_property> value;
};

// More in one packet are refused: in memory each takes many times the two bytes it may have there.
inline constexpr std::size_t most_properties = 100'000;

// Appends identifier and value. False: the value has no encoding, as text or data of more than
// 65,535 bytes; what was appended is of no use then.
[[nodiscard]] bool encode_property(const property& p, std::vector<std::uint8_t>& out);

// The properties of one packet, in the order they came in.
class properties {
  public:
    // Reads the Property Length and the properties behind it. Unknown, misplaced and ill-typed
    // properties are malformed; repeated ones and illegal values are protocol errors, and too many
    // exceed a quota.
    static result<properties> decode(reader& in, property_scope scope);

    bool empty() const noexcept { return all_.empty(); }
    const std::vector<property>& all() const noexcept { return all_; }

    // The value of an integer property, or what its absence means.
    std::uint32_t integer(property_id id, std::uint32_t absent) const noexcept;
    std::string_view text(property_id id) const noexcept;
    bytes_view binary(property_id id) const noexcept;
    bool contains(property_id id) const noexcept { return find(id) != nullptr; }

    void add(property_id id, std::uint32_t value) { all_.push_back({id, value}); }
    void add(property_id id, std::string_view value) { all_.push_back({id, value}); }
    void add(property_id id, bytes_view value) { all_.push_back({id, value}); }
    void add(std::string_view name, std::string_view value) {
        all_.push_back({property_id::user_property, user_property{name, value}});
    }

    // Appends Property Length and properties. False: one of them has no encoding, or they are
    // longer than the length can say; nothing is appended then.
    [[nodiscard]] bool encode(std::vector<std::uint8_t>& out) const;

  private:
    const property* find(property_id id) const noexcept;

    std::vector<property> all_;
};

}  // namespace amqtt
