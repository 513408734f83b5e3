// Enhanced authentication (section 4.12 of 5.0), between the broker and who knows the methods.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/reason_code.hpp"
#include "base/timer_wheel.hpp"

namespace amqtt {

// What a client has sent: with CONNECT, with AUTH 0x19, or in answer to a challenge.
struct authentication_step {
    std::string_view method;
    bytes_view data;           // Authentication Data
    bool is_first = true;      // of its exchange
    bool is_repeated = false;  // of a client that is connected: re-authentication
};

enum class authentication_outcome : std::uint8_t { accepted, challenge, refused, pending };

// What comes of a step.
struct authentication_reply {
    authentication_outcome outcome = authentication_outcome::refused;
    std::string data;  // Authentication Data for the client
    reason_code code = reason_code::bad_authentication_method;  // when refused
    std::string reason;                    // Reason String when refused; empty: none
    std::optional<std::string> user_name;  // who the client is, when accepted
};

// A running exchange.
struct authentication_exchange {
    std::uint64_t ticket = 0;    // names it towards the hooks
    bool awaits_client = false;  // a challenge was sent; else the hooks are to reply
    timer deadline;              // of re-authentication; before, the client's own timer is used
};

}  // namespace amqtt
