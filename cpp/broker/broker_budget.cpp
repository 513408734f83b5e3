// What sessions and their clients take of memory, and what is refused when that is too much.
#include <string>
#include <string_view>

#include "broker/broker.hpp"
#include "broker/log_kinds.hpp"

namespace amqtt {
namespace {

// A socket and what reads and writes it.
constexpr std::size_t transport_bytes = 768;

// What a client may make the broker keep while there is no room for that of others.
constexpr std::size_t little_state = std::size_t{16} * 1024;

// A session that is there already may grow by that with a new connection.
constexpr std::size_t small_growth = 4096;

// A session as an object in Python, with its state and its dictionaries.
constexpr std::size_t python_bytes = 4096;

std::size_t name_bytes(const std::optional<std::string>& name) noexcept {
    return name ? text_bytes(*name) : 0;
}

std::size_t bytes_of(const client& c) noexcept {
    return allocated(sizeof(client)) + transport_bytes + c.request->bytes();
}

// Observers who want to know when a session ends have a copy of what is known of it.
std::size_t with_copies(std::size_t bytes, const hooks& observers) noexcept {
    return observers.wants(hook::session_ended) ? 2 * bytes + python_bytes : bytes;
}

}  // namespace

void broker::count_session(session& s) {
    std::size_t bytes = allocated(sizeof(session)) + text_bytes(s.client_id()) +
                        name_bytes(s.user_name) + s.received_qos2().bytes();
    if (s.connection) {
        s.connection->counted_state = s.connection->state_bytes();
        bytes += bytes_of(*s.connection) + s.connection->connection.alias_bytes();
    }
    if (s.away) {
        bytes += allocated(sizeof(absence)) + (s.away->will ? s.away->will->bytes() : 0);
    }
    sessions_.count(s, with_copies(bytes, hooks_));
}

bool broker::has_room_for(const client& c) {
    const session* existing = sessions_.find(c.request->client_id);
    const std::size_t before = existing ? existing->counted_bytes : 0;
    const std::size_t own = allocated(sizeof(session)) + text_bytes(c.request->client_id) +
                            name_bytes(c.request->user_name()) + bytes_of(c);
    const std::size_t after = with_copies(own, hooks_);
    if (existing && after <= before + with_copies(small_growth, hooks_)) return true;
    return !broker_quotas::exceeded(sessions_.bytes() - before + after,
                                    settings_.quotas.session_bytes);
}

void broker::count_state(client& c) {
    const bool has_grown = c.state_bytes() > c.counted_state;
    count_session(*c.state);
    if (!has_grown || c.counted_state <= little_state) return;
    if (!broker_quotas::exceeded(sessions_.bytes(), settings_.quotas.session_bytes)) return;
    constexpr std::string_view line =
        "closed: its topic aliases or QoS 2 messages exceed limits.max_session_bytes";
    log(log_kinds::quota, c, line);
    disconnect(c, reason_code::quota_exceeded, line.substr(line.find(' ') + 1));
}

bool broker::exceeds_subscription_bytes(const session& s) const noexcept {
    const broker_quotas& most = settings_.quotas;
    const std::size_t own = s.subscription_charge + table_bytes(s.subscriptions());
    return broker_quotas::exceeded(own, most.subscription_bytes) ||
           broker_quotas::exceeded(router_.subscription_bytes(), most.total_subscription_bytes);
}

void broker::log_refused_subscription(const session& s) {
    peer_log_.log(log_kinds::subscription_quota, s.client_id(), now_, [&] {
        return "subscriptions at their bound: refused one of client '" + printable(s.client_id()) +
               "' (limits.max_subscriptions, limits.max_subscription_bytes, "
               "limits.max_total_subscription_bytes, limits.max_topic_levels)";
    });
}

}  // namespace amqtt
