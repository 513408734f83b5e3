// The kinds of lines that clients can cause, and whose rate is bounded therefore.
#pragma once

#include "base/log_limiter.hpp"
#include "broker/hooks.hpp"

namespace amqtt::log_kinds {

inline constexpr log_kind connection_refused{log_level::info, "refused connections"};
inline constexpr log_kind connection_closed{log_level::info, "connections closed by the broker"};
inline constexpr log_kind refused_busy{log_level::warning, "connections refused for busy plugins",
                                       1, 5};
inline constexpr log_kind unfinished{log_level::warning, "packets without room", 1, 20};
inline constexpr log_kind packet_late{log_level::info, "packets that took too long"};
inline constexpr log_kind violation{log_level::warning, "violations of the protocol"};
inline constexpr log_kind connect_late{log_level::info, "connections without CONNECT"};
inline constexpr log_kind keep_alive{log_level::info, "keep alive time-outs"};
inline constexpr log_kind decision_late{log_level::warning, "decisions that came too late"};
inline constexpr log_kind subscribe_refused{log_level::info, "refused subscriptions"};
inline constexpr log_kind publish_refused{log_level::info, "refused publications"};
inline constexpr log_kind receive_refused{log_level::info, "refused deliveries"};
inline constexpr log_kind dropped{log_level::warning, "messages dropped for full queues", 1, 20};
inline constexpr log_kind subscription_quota{log_level::warning, "subscriptions at their bound", 1,
                                             20};
inline constexpr log_kind quota{log_level::warning, "clients closed for max_session_bytes"};
inline constexpr log_kind too_large{log_level::warning, "messages too large for subscribers", 1,
                                    20};
inline constexpr log_kind server_topic{log_level::warning, "messages to topics of the broker", 1,
                                       20};
inline constexpr log_kind payload_format{log_level::warning, "messages that are not UTF-8", 1, 20};
inline constexpr log_kind not_retained{log_level::warning, "messages not retained", 1, 20};
inline constexpr log_kind subscription_revoked{log_level::info,
                                               "subscriptions not allowed any more"};
inline constexpr log_kind other_user{log_level::warning, "clients that wanted sessions of others",
                                     1, 20};
inline constexpr log_kind unfit_identifier{log_level::warning,
                                           "clients without Response Information", 1, 20};

inline constexpr log_kind failure{log_level::error, "failures to serve a client", 1};

constexpr const log_kind& refused(topic_action action) noexcept {
    return action == topic_action::subscribe ? subscribe_refused
           : action == topic_action::publish ? publish_refused
                                             : receive_refused;
}

}  // namespace amqtt::log_kinds
