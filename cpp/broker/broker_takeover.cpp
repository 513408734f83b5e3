// Connections of one client after each other.
//
// A client that disconnects and is back at once has two sockets, and the packets of the second may
// be here before the last ones of the first. To take the session over then would be wrong: a will
// would be published that was withdrawn, and messages lost that were sent before.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/broker.hpp"
#include "broker/log_kinds.hpp"

namespace amqtt {
namespace {

// How long the old connection may take; its peer may go on sending.
constexpr duration catch_up_limit = std::chrono::seconds(1);

std::string described_user(const std::optional<std::string>& name) {
    if (!name || name->empty()) return "a client without user name";
    return "user '" + printable(*name) + "'";
}

}  // namespace

bool broker::wait_for_predecessor(client& c) {
    const session* const existing = sessions_.find(c.request->client_id);
    client* const predecessor = existing ? existing->connection : nullptr;
    if (!predecessor) return false;
    const auto waiting = successors_.find(predecessor);
    if (waiting != successors_.end()) {
        waiting->second.push_back(&c);
    } else if (predecessor->has_input_left() || predecessor->network->catch_up()) {
        successors_.emplace(predecessor, std::vector{&c});
    } else {
        return false;
    }
    c.predecessor = predecessor;
    c.phase = client_phase::deciding;
    when_due<&broker::predecessor_timed_out>(c.idle, c);
    timers_.set(c.idle, now_ + catch_up_limit);
    return true;
}

void broker::caught_up(client& c, instant now) {
    begin(now);
    if (!c.has_input_left()) accept_successors(c);  // else read_on() asks again
}

// The first takes the session over if it still has to; those behind have the first to wait for.
void broker::accept_successors(const client& predecessor) {
    const auto found = successors_.find(&predecessor);
    if (found == successors_.end()) return;
    const std::vector<client*> waiting = std::move(found->second);
    successors_.erase(found);
    for (client* const each : waiting)
        each->predecessor = nullptr;
    for (client* const each : waiting) {
        each->connection.restart_keep_alive(now_);
        shielded(*each, [&] {
            if (each == waiting.front()) {
                accept_client(*each);
            } else {
                admit(*each);
            }
            go_on_in_line(*each);
        });
    }
}

void broker::leave_takeover(client& c) {
    client* const predecessor = std::exchange(c.predecessor, nullptr);
    if (!predecessor) return;
    const auto found = successors_.find(predecessor);
    std::erase(found->second, &c);
    if (found->second.empty()) successors_.erase(found);
}

// -- whose a session is

bool broker::belongs_to(const session& s, const std::optional<std::string>& user) const noexcept {
    if (!settings_.sessions_have_owners || !s.has_owner) return true;
    // An empty name is none.
    const auto name_of = [](const std::optional<std::string>& name) {
        return name ? std::string_view(*name) : std::string_view();
    };
    return name_of(s.user_name) == name_of(user);
}

bool broker::refuse_other_user(client& c) {
    const session* const existing = sessions_.find(c.request->client_id);
    if (!existing || belongs_to(*existing, c.request->user_name())) return false;
    log_other_user(*existing, c.request->user_name());
    refuse(c, reason_code::client_identifier_not_valid,
           "the session of its client identifier is another user's");
    return true;
}

void broker::log_other_user(const session& s, const std::optional<std::string>& user) {
    peer_log_.log(log_kinds::other_user, s.client_id(), now_, [&] {
        const std::string owner = described_user(s.user_name);
        const std::string other = described_user(user);
        return "the session of client '" + printable(s.client_id()) +
               "' is another user's: it belongs to " + owner + ", and " + other +
               " is refused (session_owner)";
    });
}

session& broker::session_for(client& c, bool& present) {
    const connect_request& request = *c.request;
    session* existing = sessions_.find(request.client_id);
    if (existing && existing->connection) {
        take_over(*existing);
        existing = sessions_.find(request.client_id);  // it may have ended with its connection
    }
    if (existing && request.clean_start) {
        drop_session(*existing);
        existing = nullptr;
    }
    present = existing != nullptr;
    return existing ? *existing : sessions_.create(request.client_id);
}

void broker::take_over(session& s) {
    client& old = *s.connection;
    log(log_kinds::connection_closed, old,
        "closed: its session was taken over by another connection");
    // A will with a delay stays with the session: its end publishes the will, resuming does not.
    disconnect(old, reason_code::session_taken_over,
               "another connection has its client identifier");
}

}  // namespace amqtt
