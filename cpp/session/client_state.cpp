#include "session/client_state.hpp"

namespace amqtt {

using kind = client_state_change::kind;

inflight_entry& client_state::add(std::uint64_t ticket, std::uint16_t packet_id,
                                  message_ptr content) {
    if (kept_) note({kind::added, packet_id, reason_code::success, ticket, content});
    const qos level = content->level();
    const bool retain = content->retain();
    inflight_entry& entry = inflight.add(packet_id, level, std::move(content), retain);
    entry.ticket = ticket;
    return entry;
}

void client_state::pubrec_came(inflight_entry& entry, reason_code code) {
    inflight.release_content(entry);
    entry.state = inflight_state::awaiting_pubcomp;
    entry.pubrec_code = to_byte(code);
    note({kind::pubrec, entry.packet_id, code, 0, nullptr});
}

void client_state::remove(std::uint16_t packet_id) {
    if (inflight_entry* const entry = inflight.find(packet_id)) inflight.remove(*entry);
    note({kind::done, packet_id, reason_code::success, 0, nullptr});
}

bool client_state::receive(std::uint16_t packet_id) {
    const bool is_new = received_qos2_.insert(packet_id);
    if (is_new) note({kind::received, packet_id, reason_code::success, 0, nullptr});
    return is_new;
}

bool client_state::release(std::uint16_t packet_id) {
    const bool known = received_qos2_.erase(packet_id);
    if (known) note({kind::released, packet_id, reason_code::success, 0, nullptr});
    return known;
}

void client_state::forget_received() {
    if (received_qos2_.empty()) return;
    received_qos2_.clear();
    note({kind::nothing_received, 0, reason_code::success, 0, nullptr});
}

void client_state::restore(std::uint64_t ticket, std::uint16_t packet_id, message_ptr content) {
    const qos level = content->level();
    const bool retain = content->retain();
    inflight_entry& entry = inflight.add(packet_id, level, std::move(content), retain);
    entry.ticket = ticket;
    entry.sent = true;  // or so it may be
}

void client_state::restore_released(std::uint64_t ticket, std::uint16_t packet_id,
                                    reason_code code) {
    inflight_entry& entry = inflight.add(packet_id, qos::exactly_once, nullptr, false);
    entry.ticket = ticket;
    entry.sent = true;
    entry.state = inflight_state::awaiting_pubcomp;
    entry.pubrec_code = to_byte(code);
}

}  // namespace amqtt
