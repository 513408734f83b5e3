#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "broker/hooks.hpp"
#include "session/session.hpp"

namespace amqtt {

// Asked before a message is sent that waited while rights may have changed.
class delivery_guard {
  public:
    virtual ~delivery_guard() = default;
    // Of the first message in the queue. After pending outbox::pump() is to follow.
    virtual verdict check_waiting(session& to, const message_ptr& first) = 0;
};

// What is asked about a session whose rights may have changed.
struct rights_check {
    std::vector<std::uint64_t> subscriptions;  // tickets; nothing is sent before they are answered
    std::uint64_t ticket = 0;                  // about the first message of the queue; 0: none
    message_ptr first = nullptr;
    std::optional<verdict> made = std::nullopt;

    bool is_over() const noexcept { return subscriptions.empty() && ticket == 0 && !made; }
};

}  // namespace amqtt
