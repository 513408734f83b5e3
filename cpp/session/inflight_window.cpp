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

void inflight_window::make_room(std::uint16_t packet_id) {
    if (slots_.empty()) set_slots(smallest_table);
    while (slots_[slot_of(packet_id)].state != inflight_state::unused)
        set_slots(slots_.size() * 2);
}

inflight_entry& inflight_window::add(std::uint16_t packet_id, qos level, message_ptr&& content,
                                     bool retain) {
    make_room(packet_id);
    inflight_entry& entry = slots_[slot_of(packet_id)];
    entry.content = std::move(content);
    if (entry.content) {
        bytes_ += entry.content->footprint();
        if (total_) total_->add(*entry.content);
    }
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

void inflight_window::remove(inflight_entry& entry) noexcept {
    if (entry.previous != 0) {
        find(entry.previous)->next = entry.next;
    } else {
        first_ = entry.next;
    }
    if (entry.next != 0) {
        find(entry.next)->previous = entry.previous;
    } else {
        last_ = entry.previous;
    }
    release_content(entry);
    entry.ids.reset();
    entry.share.reset();
    entry.state = inflight_state::unused;
    if (--size_ == 0 && slots_.size() > large_table) set_slots(0);
}

void inflight_window::release_content(inflight_entry& entry) noexcept {
    if (!entry.content) return;
    bytes_ -= entry.content->footprint();
    if (total_) total_->remove(*entry.content);
    entry.content.reset();
}

void inflight_window::clear() {
    for (inflight_entry& entry : slots_)
        release_content(entry);
    size_ = 0;
    set_slots(0);
    bytes_ = 0;
    first_ = last_ = 0;
}

// Entries keep their identifiers, and find their slots in the table of another size.
void inflight_window::set_slots(std::size_t count) {
    std::vector<inflight_entry> others(count);
    if (size_ > 0) {
        for (inflight_entry& entry : slots_) {
            if (entry.state == inflight_state::unused) continue;
            others[entry.packet_id & (count - 1)] = std::move(entry);
        }
    }
    if (total_) {
        total_->resize(allocated(slots_.size() * sizeof(inflight_entry)),
                       allocated(count * sizeof(inflight_entry)));
    }
    slots_ = std::move(others);
}

}  // namespace amqtt
