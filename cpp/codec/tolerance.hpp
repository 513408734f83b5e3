// Deviations from the standard that clients in the field have and a server may be told to bear.
#pragma once

#include <cstdint>

namespace amqtt {

// Combined bit by bit; 0 is the standard.
enum class tolerance : std::uint8_t {
    long_client_id = 1U << 0,              // over 23 characters in MQTT 3.1
    password_without_user_name = 1U << 1,  // in MQTT 3
    dup_at_qos_0 = 1U << 2,                // DUP on a PUBLISH that cannot be repeated
    dup_of_subscribe = 1U << 3,            // and of UNSUBSCRIBE and PUBREL, as in MQTT 3.1
    invalid_filter = 1U << 4,              // in SUBSCRIBE and UNSUBSCRIBE of MQTT 3
};

class tolerances {
  public:
    constexpr tolerances() noexcept = default;
    constexpr explicit tolerances(std::uint8_t bits) noexcept : bits_(bits) {}
    constexpr tolerances(tolerance one) noexcept : bits_(static_cast<std::uint8_t>(one)) {}

    constexpr bool has(tolerance one) const noexcept {
        return (bits_ & static_cast<std::uint8_t>(one)) != 0;
    }

  private:
    std::uint8_t bits_ = 0;
};

}  // namespace amqtt
