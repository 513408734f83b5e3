// Where policy and observers meet the broker. Everything is called on the broker's thread.
#pragma once

#include <cstdint>

#include "base/log.hpp"
#include "base/reason_code.hpp"
#include "broker/client.hpp"
#include "broker/enhanced_authentication.hpp"

namespace amqtt {

enum class verdict : std::uint8_t { allow, deny, pending };

// One bit per event: set when somebody wants it. The broker tests it before it builds the event.
enum class hook : std::uint32_t {
    client_connected = 1U << 0,
    client_disconnected = 1U << 1,
};

class hooks {
  public:
    virtual ~hooks() = default;

    // Decides whether a client may connect. After pending, broker::decide(ticket, ...) is to
    // follow; without it the broker denies when settings.decision_timeout has passed.
    virtual verdict authenticate(const client& who, std::uint64_t ticket) = 0;

    // Takes a step of enhanced authentication, which for clients that ask for it stands in the
    // place of authenticate(). After pending, broker::reply(ticket, ...) is to follow, with the
    // same deadline. All steps of one exchange have the same ticket.
    virtual authentication_reply authenticate(const client&, const authentication_step&,
                                              std::uint64_t /*ticket*/) {
        return {};
    }
    // An exchange is over, whatever came of it.
    virtual void authentication_ended(std::uint64_t /*ticket*/) {}

    virtual std::uint32_t mask() const noexcept { return 0; }
    virtual void client_connected(const client&) {}
    virtual void client_disconnected(const client&, reason_code) {}
    virtual void log(log_level level, std::string text) = 0;

    bool wants(hook event) const noexcept {
        return (mask() & static_cast<std::uint32_t>(event)) != 0;
    }
};

}  // namespace amqtt
