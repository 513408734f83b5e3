// Where policy and observers meet the broker. Everything is called on the broker's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "base/message.hpp"
#include "base/reason_code.hpp"
#include "base/time.hpp"
#include "broker/client.hpp"
#include "broker/enhanced_authentication.hpp"

namespace amqtt {

enum class verdict : std::uint8_t { allow, deny, pending };

// One bit per event: set when somebody wants it. The broker tests it before it builds the event.
enum class hook : std::uint32_t {
    client_connected = 1U << 0,
    client_disconnected = 1U << 1,
    client_subscribed = 1U << 2,
    client_unsubscribed = 1U << 3,
    retained_message = 1U << 4,
    message_received = 1U << 5,
    message_broadcast = 1U << 6,
    packet_received = 1U << 7,
    packet_sent = 1U << 8,
    session_ended = 1U << 9,
    // Decisions.
    check_subscribe = 1U << 10,
    check_publish = 1U << 11,
    check_receive = 1U << 12,
};

constexpr std::uint32_t to_bit(hook event) noexcept {
    return static_cast<std::uint32_t>(event);
}

enum class topic_action : std::uint8_t { subscribe, publish, receive };

constexpr hook check_of(topic_action action) noexcept {
    return action == topic_action::subscribe ? hook::check_subscribe
           : action == topic_action::publish ? hook::check_publish
                                             : hook::check_receive;
}

// What was decided on a question, with what a peer of MQTT 5.0 is told when it is a refusal.
struct decision {
    verdict answer = verdict::deny;
    reason_code code = reason_code::not_authorized;
    std::string reason = {};
    // How long the same may be answered to the same question about a topic.
    duration holds{0};

    // The code of a refusal: what says no is the answer, whatever its code would mean.
    reason_code refusal() const noexcept {
        return is_failure(code) ? code : reason_code::not_authorized;
    }
};

class hooks {
  public:
    virtual ~hooks() = default;

    // Whether there is room for what is to be asked and told of one more client; if not, it is
    // refused.
    virtual bool has_room_for(const client&) { return true; }

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

    // Decides whether a session may do something with a topic, or with the filter it asks for;
    // only asked with the bit of the action set. After pending as above.
    virtual decision check_topic(const session&, topic_action, std::string_view /*topic*/,
                                 std::uint64_t /*ticket*/, instant /*now*/) {
        return {verdict::allow};
    }
    // Whether it is known, without asking anybody, that a session may not receive a message.
    virtual bool is_refused(const session&, std::string_view /*topic*/, instant /*now*/) {
        return false;
    }
    // What was pending is decided, for the login that it was asked for and that still has the
    // session.
    virtual void topic_decided(const session&, topic_action, std::string_view /*topic*/,
                               const decision&, instant /*now*/) {}

    virtual void client_connected(const client&, bool /*session_present*/) {}
    virtual void client_disconnected(const client&, reason_code) {}
    // A connection about which authenticate() was asked, and has not said no at once, was not
    // admitted, whoever decided that.
    virtual void client_refused(const client&) {}
    virtual void session_ended(const session&) {}
    // The client of a session is another user from now on.
    virtual void user_changed(const session&) {}
    virtual void client_subscribed(const session&, std::string_view /*filter*/, qos /*granted*/) {}
    virtual void client_unsubscribed(const session&, std::string_view /*filter*/) {}
    // The message of a topic was stored; or removed, then its payload is empty. Null: the server's.
    virtual void message_retained(const session* /*publisher*/, const message_ptr&) {}
    // A message waits for a session that is not connected.
    virtual void message_queued(const session&, const message_ptr&) {}
    virtual void message_received(const session&, const message_ptr&, std::uint16_t /*packet_id*/) {
    }
    virtual void message_broadcast(const session&, const message_ptr&,
                                   std::uint16_t /*packet_id*/) {}
    virtual void packet_received(const client&, bytes_view) {}
    virtual void packet_sent(const client&, bytes_view) {}
    // A message for a subscriber inside the process, see broker::subscribe_local().
    virtual void local_message(std::uint64_t /*subscriber*/, const message_ptr&, bool /*retain*/) {}

    // There is work that was left so that others have their turn: broker::work() is to be called
    // soon, after other input that is there was received. Without that broker::advance() does it.
    virtual void work_left() {}

    // What time it is, while the broker works: a turn whose time is over ends though it has steps
    // left. Where time stands still, the steps decide.
    virtual instant time() const noexcept { return {}; }

    // Observers do not keep up: clients are not to be read from until broker::resume_clients().
    virtual bool is_congested() const noexcept { return false; }

    virtual void log(log_level level, std::string text) = 0;

    bool wants(hook event) const noexcept { return (mask_ & to_bit(event)) != 0; }

  protected:
    std::uint32_t mask_ = 0;
};

}  // namespace amqtt
