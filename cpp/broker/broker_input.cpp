// Input that is kept because the rest of a packet is to come: how long, and how much for everyone.
#include <algorithm>
#include <string>

#include "broker/broker.hpp"
#include "broker/log_kinds.hpp"

namespace amqtt {
namespace {

constexpr instant never = instant::max();

}  // namespace

// Half a packet may take limits.packet_timeout, or what its keep alive admits to be silent: a
// packet is not kept alive by its bytes.
duration broker::packet_limit(const client& c) const noexcept {
    if (c.request->keep_alive == 0) return c.limits.packet_timeout;
    return std::min(
        c.limits.packet_timeout,
        server_connection::keep_alive_limit(c.request->keep_alive, settings_.keep_alive_extra));
}

instant broker::silence_deadline(client& c) noexcept {
    if (c.connection.has_part_of_packet() && !c.held_up) {
        const duration limit = packet_limit(c);
        const auto enough = static_cast<std::size_t>(std::chrono::duration<double>(limit).count() *
                                                     static_cast<double>(c.limits.min_packet_rate));
        return c.connection.packet_deadline(limit, enough, now_);
    }
    if (c.request->keep_alive == 0) return never;
    return c.connection.keep_alive_deadline(c.request->keep_alive, settings_.keep_alive_extra);
}

void broker::check_silence(client& c) {
    if (c.held || c.throttled || c.slowed_by || c.has_input_left())
        c.connection.restart_keep_alive(now_);  // not read
    const instant due = silence_deadline(c);
    if (due > now_) {
        if (due != never) timers_.set(c.idle, due);
        return;
    }
    if (c.connection.has_part_of_packet() && !c.held_up &&
        packet_limit(c) == c.limits.packet_timeout) {
        log(log_kinds::packet_late, c,
            "closed: it sends a packet too slowly (limits.packet_timeout)");
        disconnect(c, reason_code::implementation_specific_error, "its packet took too long");
    } else {
        log(log_kinds::keep_alive, c, "keep alive timed out");
        disconnect(c, reason_code::keep_alive_timeout, "keep alive timed out");
    }
}

// To be called when its input was dealt with, as far as it is now.
void broker::input_kept(client& c) {
    if (c.phase == client_phase::closing) {
        if (!c.is_processing) c.connection.drop_input();
    } else if (c.phase == client_phase::connected && c.connection.has_part_of_packet()) {
        const instant due = silence_deadline(c);
        if (!c.idle.is_set() || c.idle.deadline > due) timers_.set(c.idle, due);
    }
    const std::size_t before = c.kept_input;
    // What waits for a turn is no part of a packet that may never come, and few can have it.
    const bool waits = c.has_input_left() && clients_in_line_ <= most_in_line;
    kept_.note(c, waits ? 0 : c.connection.input_footprint());
    if (c.kept_input <= before) return;
    while (client* const most = kept_.over_bound())
        end_for_room(*most);
}

void broker::end_for_room(client& c) {
    log(log_kinds::unfinished, c,
        "closed: unfinished packets are at their bound, and " + std::to_string(c.kept_input) +
            " bytes are its own (limits.max_unfinished_bytes)");
    if (c.phase == client_phase::connected) {
        disconnect(c, reason_code::quota_exceeded, "unfinished packets are at their bound");
    } else {
        end(c, reason_code::quota_exceeded, will_action::discard);
    }
    if (!c.is_processing) c.connection.drop_input();
    kept_.note(c, 0);
}

}  // namespace amqtt
