#include "session/inflight_window.hpp"

#include <utility>

namespace amqtt {
namespace {

constexpr std::size_t smallest_table = 8;
constexpr std::size_t large_table = 1024;
constexpr std::size_t id_count = 65'535;

}  // namespace

std::uint16_t inflight_window::next_packet_id() {
    if (size_ == id_count) return 0;
    do {
        turn_ = turn_ == id_count ? 1 : static_cast<std::uint16_t>(turn_ + 1);
    } while (is_taken(turn_));
    return turn_;
}

// While half of a large table is free an identifier whose slot is in use is passed over, so that
// one message that is never acknowledged does not make it grow for all that come after it.
bool inflight_window::is_taken(std::uint16_t packet_id) const noexcept {
    if (slots_.empty()) return false;
    const inflight_entry& entry = slots_[slot_of(packet_id)];
    if (entry.state == inflight_state::unused) return false;
    const bool half_free = slots_.size() >= large_table && size_ * 2 < slots_.size();
    return entry.packet_id == packet_id || half_free;
}

inflight_entry& inflight_window::add(std::uint16_t packet_id, qos level, message_ptr content,
                                     bool retain) {
    if (slots_.empty()) slots_.resize(smallest_table);
    while (slots_[slot_of(packet_id)].state != inflight_state::unused)
        grow();
    inflight_entry& entry = slots_[slot_of(packet_id)];
    entry.content = std::move(content);
    if (entry.content) bytes_ += entry.content->size();
    entry.packet_id = packet_id;
    entry.previous = last_;
    entry.next = 0;
    entry.state = level == qos::exactly_once ? inflight_state::awaiting_pubrec
                                             : inflight_state::awaiting_puback;
    entry.retain = retain;
    entry.share.reset();
    entry.sent = false;
    entry.counts = false;
    entry.pubrec_code = 0;
    entry.ticket = 0;
    if (last_ != 0) find(last_)->next = packet_id;
    if (first_ == 0) first_ = packet_id;
    last_ = packet_id;
    ++size_;
    return entry;
}

inflight_entry* inflight_window::find(std::uint16_t packet_id) noexcept {
    if (slots_.empty()) return nullptr;
    inflight_entry& entry = slots_[slot_of(packet_id)];
    const bool there = entry.state != inflight_state::unused && entry.packet_id == packet_id;
    return there ? &entry : nullptr;
}

void inflight_window::remove(std::uint16_t packet_id) {
    inflight_entry* entry = find(packet_id);
    if (!entry) return;
    if (entry->previous != 0) {
        find(entry->previous)->next = entry->next;
    } else {
        first_ = entry->next;
    }
    if (entry->next != 0) {
        find(entry->next)->previous = entry->previous;
    } else {
        last_ = entry->previous;
    }
    release_content(*entry);
    entry->ids.reset();
    entry->share.reset();
    entry->state = inflight_state::unused;
    --size_;
}

void inflight_window::release_content(inflight_entry& entry) noexcept {
    if (entry.content) bytes_ -= entry.content->size();
    entry.content.reset();
}

void inflight_window::clear() {
    slots_.clear();
    slots_.shrink_to_fit();
    size_ = 0;
    bytes_ = 0;
    first_ = last_ = 0;
}

void inflight_window::grow() {
    std::vector<inflight_entry> bigger(slots_.size() * 2);
    for (inflight_entry& entry : slots_) {
        if (entry.state == inflight_state::unused) continue;
        const std::size_t slot = entry.packet_id & (bigger.size() - 1);
        bigger[slot] = std::move(entry);
    }
    slots_ = std::move(bigger);
}

}  // namespace amqtt
