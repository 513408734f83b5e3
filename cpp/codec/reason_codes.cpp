#include "codec/reason_codes.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>

namespace amqtt {
namespace {

// A bit for each Reason Code.
class code_set {
  public:
    struct range {
        std::uint8_t first;
        std::uint8_t last;
    };

    constexpr code_set(std::initializer_list<range> ranges) noexcept {
        for (const range& each : ranges) {
            for (unsigned code = each.first; code <= each.last; ++code)
                bits_[code / 64] |= std::uint64_t{1} << (code % 64);
        }
    }
    constexpr bool contains(std::uint8_t code) const noexcept {
        return (bits_[code / 64] >> (code % 64) & 1U) != 0;
    }

  private:
    std::array<std::uint64_t, 4> bits_{};
};

constexpr code_set none{};
constexpr code_set connack{{0x00, 0x00}, {0x80, 0x8A}, {0x8C, 0x8C}, {0x90, 0x90},
                           {0x95, 0x95}, {0x97, 0x97}, {0x99, 0x9D}, {0x9F, 0x9F}};
constexpr code_set puback{{0x00, 0x00}, {0x10, 0x10}, {0x80, 0x80}, {0x83, 0x83},
                          {0x87, 0x87}, {0x90, 0x91}, {0x97, 0x97}, {0x99, 0x99}};
constexpr code_set pubrel{{0x00, 0x00}, {0x92, 0x92}};
constexpr code_set suback{{0x00, 0x02}, {0x80, 0x80}, {0x83, 0x83}, {0x87, 0x87}, {0x8F, 0x8F},
                          {0x91, 0x91}, {0x97, 0x97}, {0x9E, 0x9E}, {0xA1, 0xA2}};
constexpr code_set unsuback{{0x00, 0x00}, {0x11, 0x11}, {0x80, 0x80}, {0x83, 0x83},
                            {0x87, 0x87}, {0x8F, 0x8F}, {0x91, 0x91}};
constexpr code_set disconnect{{0x00, 0x00}, {0x04, 0x04}, {0x80, 0x83}, {0x87, 0x87},
                              {0x89, 0x89}, {0x8B, 0x8B}, {0x8D, 0x90}, {0x93, 0xA2}};
constexpr code_set auth{{0x00, 0x00}, {0x18, 0x19}};

// Those among them that only the server may send, and only the client. 0x10 in PUBACK and PUBREC is
// said to be the server's, but MQTT-3.4.2-1 and MQTT-3.5.2-1 list it for both, and does no harm.
constexpr code_set disconnect_of_server{
    {0x87, 0x87}, {0x89, 0x89}, {0x8B, 0x8B}, {0x8D, 0x8F}, {0x9A, 0xA2}};
constexpr code_set disconnect_of_client{{0x04, 0x04}};
constexpr code_set auth_of_server{{0x00, 0x00}};
constexpr code_set auth_of_client{{0x19, 0x19}};

const code_set& codes_of(packet_type type) noexcept {
    switch (type) {
        case packet_type::connack:
            return connack;
        case packet_type::puback:
        case packet_type::pubrec:
            return puback;
        case packet_type::pubrel:
        case packet_type::pubcomp:
            return pubrel;
        case packet_type::suback:
            return suback;
        case packet_type::unsuback:
            return unsuback;
        case packet_type::disconnect:
            return disconnect;
        case packet_type::auth:
            return auth;
        default:
            return none;
    }
}

// The codes that are legal, but not when the packet comes from this side.
const code_set& codes_of_the_other(packet_type type, sender from) noexcept {
    const bool by_client = from == sender::client;
    switch (type) {
        case packet_type::disconnect:
            return by_client ? disconnect_of_server : disconnect_of_client;
        case packet_type::auth:
            return by_client ? auth_of_server : auth_of_client;
        default:
            return none;
    }
}

}  // namespace

bool is_legal(packet_type type, reason_code code, sender from) noexcept {
    if (!codes_of(type).contains(to_byte(code))) return false;
    return from == sender::any || !codes_of_the_other(type, from).contains(to_byte(code));
}

}  // namespace amqtt
