#include "codec/properties.hpp"

#include <array>

#include "codec/varint.hpp"
#include "codec/writer.hpp"

namespace amqtt {
namespace {

enum class wire_type : std::uint8_t { none, byte, u16, u32, varint, utf8, binary, pair };

constexpr std::uint16_t in(property_scope scope) noexcept {
    return static_cast<std::uint16_t>(1U << static_cast<unsigned>(scope));
}

template <class... Scopes>
constexpr std::uint16_t in(property_scope first, Scopes... rest) noexcept {
    return static_cast<std::uint16_t>(in(first) | in(rest...));
}

struct property_rule {
    wire_type type = wire_type::none;
    std::uint16_t scopes = 0;  // bit per property_scope
    std::uint32_t lowest = 0;  // legal values of integers
    std::uint32_t highest = UINT32_MAX;
};

using scope = property_scope;
constexpr std::uint16_t message_scopes = in(scope::publish, scope::will);
constexpr std::uint16_t handshake_scopes = in(scope::connect, scope::connack);
constexpr std::uint16_t auth_scopes = in(scope::connect, scope::connack, scope::auth);
constexpr std::uint16_t reason_scopes =
    in(scope::connack, scope::puback, scope::pubrec, scope::pubrel, scope::pubcomp, scope::suback,
       scope::unsuback, scope::disconnect, scope::auth);
constexpr std::uint16_t every_scope = 0x3FFF;

constexpr std::size_t rule_count = 0x2B;

// The table of section 2.2.2.2; indices are property identifiers.
constexpr std::array<property_rule, rule_count> make_rules() {
    std::array<property_rule, rule_count> r{};
    r[0x01] = {wire_type::byte, message_scopes, 0, 1};
    r[0x02] = {wire_type::u32, message_scopes};
    r[0x03] = {wire_type::utf8, message_scopes};
    r[0x08] = {wire_type::utf8, message_scopes};
    r[0x09] = {wire_type::binary, message_scopes};
    r[0x0B] = {wire_type::varint, in(scope::publish, scope::subscribe), 1, varint_max};
    r[0x11] = {wire_type::u32, in(scope::connect, scope::connack, scope::disconnect)};
    r[0x12] = {wire_type::utf8, in(scope::connack)};
    r[0x13] = {wire_type::u16, in(scope::connack)};
    r[0x15] = {wire_type::utf8, auth_scopes};
    r[0x16] = {wire_type::binary, auth_scopes};
    r[0x17] = {wire_type::byte, in(scope::connect), 0, 1};
    r[0x18] = {wire_type::u32, in(scope::will)};
    r[0x19] = {wire_type::byte, in(scope::connect), 0, 1};
    r[0x1A] = {wire_type::utf8, in(scope::connack)};
    r[0x1C] = {wire_type::utf8, in(scope::connack, scope::disconnect)};
    r[0x1F] = {wire_type::utf8, reason_scopes};
    r[0x21] = {wire_type::u16, handshake_scopes, 1, UINT16_MAX};
    r[0x22] = {wire_type::u16, handshake_scopes};
    r[0x23] = {wire_type::u16, in(scope::publish)};
    r[0x24] = {wire_type::byte, in(scope::connack), 0, 1};
    r[0x25] = {wire_type::byte, in(scope::connack), 0, 1};
    r[0x26] = {wire_type::pair, every_scope};
    r[0x27] = {wire_type::u32, handshake_scopes, 1};
    r[0x28] = {wire_type::byte, in(scope::connack), 0, 1};
    r[0x29] = {wire_type::byte, in(scope::connack), 0, 1};
    r[0x2A] = {wire_type::byte, in(scope::connack), 0, 1};
    return r;
}

constexpr auto rules = make_rules();

property read_value(reader& in, property_id id, wire_type type) {
    switch (type) {
        case wire_type::byte:
            return {id, std::uint32_t{in.u8()}};
        case wire_type::u16:
            return {id, std::uint32_t{in.u16()}};
        case wire_type::u32:
            return {id, in.u32()};
        case wire_type::varint:
            return {id, in.varint()};
        case wire_type::utf8:
            return {id, in.utf8()};
        case wire_type::binary:
            return {id, in.binary()};
        case wire_type::pair: {
            const std::string_view name = in.utf8();
            return {id, user_property{name, in.utf8()}};
        }
        case wire_type::none:
            break;
    }
    return {id, std::uint32_t{0}};
}

bool may_repeat(property_id id, property_scope where) noexcept {
    return id == property_id::user_property ||
           (id == property_id::subscription_identifier && where == property_scope::publish);
}

constexpr std::uint32_t largest(wire_type type) noexcept {
    switch (type) {
        case wire_type::byte:
            return UINT8_MAX;
        case wire_type::u16:
            return UINT16_MAX;
        case wire_type::varint:
            return varint_max;
        default:
            return UINT32_MAX;
    }
}

}  // namespace

std::optional<property_scope> property_scope_of(packet_type type) noexcept {
    switch (type) {
        case packet_type::connect:
            return scope::connect;
        case packet_type::connack:
            return scope::connack;
        case packet_type::publish:
            return scope::publish;
        case packet_type::puback:
            return scope::puback;
        case packet_type::pubrec:
            return scope::pubrec;
        case packet_type::pubrel:
            return scope::pubrel;
        case packet_type::pubcomp:
            return scope::pubcomp;
        case packet_type::subscribe:
            return scope::subscribe;
        case packet_type::suback:
            return scope::suback;
        case packet_type::unsubscribe:
            return scope::unsubscribe;
        case packet_type::unsuback:
            return scope::unsuback;
        case packet_type::disconnect:
            return scope::disconnect;
        case packet_type::auth:
            return scope::auth;
        case packet_type::reserved:
        case packet_type::pingreq:
        case packet_type::pingresp:
            break;
    }
    return std::nullopt;
}

property_kind kind_of(property_id id) noexcept {
    switch (rules[static_cast<std::size_t>(id)].type) {
        case wire_type::utf8:
            return property_kind::text;
        case wire_type::binary:
            return property_kind::binary;
        case wire_type::pair:
            return property_kind::pair;
        default:
            return property_kind::integer;
    }
}

bool is_legal_value(property_id id, std::uint32_t value) noexcept {
    const property_rule& rule = rules[static_cast<std::size_t>(id)];
    return value >= rule.lowest && value <= rule.highest && value <= largest(rule.type);
}

result<properties> properties::decode(reader& in, property_scope where) {
    const std::uint32_t size = in.varint();
    reader body(in.bytes(size));
    if (!in.ok()) return malformed("Property Length exceeds the packet");
    properties read;
    std::uint64_t seen = 0;
    while (!body.at_end()) {
        const std::uint32_t number = body.varint();
        if (!body.ok() || number >= rule_count) return malformed("unknown property identifier");
        const property_rule& rule = rules[number];
        const bool allowed = (rule.scopes >> static_cast<unsigned>(where) & 1U) != 0;
        if (!allowed) return malformed("property not allowed in this packet");
        const auto id = static_cast<property_id>(number);
        const property found = read_value(body, id, rule.type);
        if (!body.ok()) return malformed("truncated or ill-formed property");
        const std::uint64_t bit = std::uint64_t{1} << number;
        if ((seen & bit) != 0 && !may_repeat(id, where)) return protocol_error("repeated property");
        seen |= bit;
        const auto* value = std::get_if<std::uint32_t>(&found.value);
        if (value && !is_legal_value(id, *value)) {
            return protocol_error("property value out of range");
        }
        if (read.all_.size() == most_properties) {
            return protocol_violation{reason_code::quota_exceeded, "too many properties"};
        }
        read.all_.push_back(found);
    }
    return read;
}

const property* properties::find(property_id id) const noexcept {
    for (const property& p : all_) {
        if (p.id == id) return &p;
    }
    return nullptr;
}

std::uint32_t properties::integer(property_id id, std::uint32_t absent) const noexcept {
    const property* p = find(id);
    const auto* value = p ? std::get_if<std::uint32_t>(&p->value) : nullptr;
    return value ? *value : absent;
}

std::string_view properties::text(property_id id) const noexcept {
    const property* p = find(id);
    const auto* value = p ? std::get_if<std::string_view>(&p->value) : nullptr;
    return value ? *value : std::string_view{};
}

bytes_view properties::binary(property_id id) const noexcept {
    const property* p = find(id);
    const auto* value = p ? std::get_if<bytes_view>(&p->value) : nullptr;
    return value ? *value : bytes_view{};
}

bool encode_property(const property& p, std::vector<std::uint8_t>& out) {
    writer to(out);
    const auto number = static_cast<std::uint8_t>(p.id);
    to.u8(number);
    const auto* integer = std::get_if<std::uint32_t>(&p.value);
    switch (rules[number].type) {
        case wire_type::byte:
            to.u8(static_cast<std::uint8_t>(*integer));
            break;
        case wire_type::u16:
            to.u16(static_cast<std::uint16_t>(*integer));
            break;
        case wire_type::u32:
            to.u32(*integer);
            break;
        case wire_type::varint:
            to.varint(*integer);
            break;
        case wire_type::utf8:
            to.utf8(std::get<std::string_view>(p.value));
            break;
        case wire_type::binary:
            to.binary(std::get<bytes_view>(p.value));
            break;
        case wire_type::pair: {
            const auto& pair = std::get<user_property>(p.value);
            to.utf8(pair.name);
            to.utf8(pair.value);
            break;
        }
        case wire_type::none:
            break;
    }
    return to.ok();
}

bool properties::encode(std::vector<std::uint8_t>& out) const {
    std::vector<std::uint8_t> body;
    for (const property& p : all_) {
        if (!encode_property(p, body)) return false;
    }
    if (varint_size(body.size()) == 0) return false;
    writer to(out);
    to.varint(body.size());
    to.bytes(body);
    return true;
}

}  // namespace amqtt
