#include "policy/packaged_policy.hpp"

#include <utility>

namespace amqtt {
namespace {

constexpr std::string_view broker_logger = "amqtt.broker";
constexpr std::string_view event_logger = "amqtt.broker.plugins.EventLoggerPlugin";

}  // namespace

packaged_policy::packaged_policy(const policy_settings& settings, log_sink sink)
    : settings_(settings), anonymous_(settings.allow_anonymous), sink_(std::move(sink)) {
    if (settings.event_log) {
        mask_ = static_cast<std::uint32_t>(hook::client_connected) |
                static_cast<std::uint32_t>(hook::client_disconnected);
    }
}

verdict packaged_policy::authenticate(const client& who, std::uint64_t) {
    return settings_.authenticate_anonymous ? anonymous_.authenticate(who) : verdict::deny;
}

void packaged_policy::client_connected(const client&) {
    log_event("on_broker_client_connected");
}

void packaged_policy::client_disconnected(const client&, reason_code) {
    log_event("on_broker_client_disconnected");
}

void packaged_policy::log_event(std::string_view event) {
    sink_({log_level::info, std::string(event_logger),
           "### '" + std::string(event) + "' EVENT FIRED ###"});
}

void packaged_policy::log(log_level level, std::string text) {
    sink_({level, std::string(broker_logger), std::move(text)});
}

}  // namespace amqtt
