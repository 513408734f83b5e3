// Messages sent at QoS 1 or 2 and not yet acknowledged, by packet identifier and in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/message.hpp"
#include "base/qos.hpp"
#include "session/backlog.hpp"
#include "session/subscription_ids.hpp"

namespace amqtt {

enum class inflight_state : std::uint8_t {
    unused,
    awaiting_puback,
    awaiting_pubrec,
    awaiting_pubcomp
};

struct inflight_entry {
    message_ptr content;  // null once PUBREC has come
    subscription_ids ids;
    share_name share;
    std::uint64_t ticket = 0;  // of the caller, for its own use
    std::uint16_t packet_id = 0;
    std::uint16_t previous = 0;  // packet identifiers, 0 at the ends
    std::uint16_t next = 0;
    inflight_state state = inflight_state::unused;
    bool retain = false;  // the RETAIN flag it is sent with
    // The owner's business: it went out on the present connection, as a PUBLISH there.
    bool sent = false;
    bool counts = false;
    std::uint8_t pubrec_code = 0;  // Reason Code of the PUBREC that has come
};

// Packet identifiers are handed out in turn from 1 to 65,535, skipping those in use; SUBSCRIBE
// and UNSUBSCRIBE take theirs from the same turn (3.1.1: MQTT-2.3.1-2, -4). The window itself
// has no limit but that; how many messages may be in flight is the caller's decision.
class inflight_window {
  public:
    // total: what the windows of all sessions take together; null: nobody asks.
    explicit inflight_window(backlog* total = nullptr) noexcept : total_(total) {}
    ~inflight_window() { clear(); }
    inflight_window(const inflight_window&) = delete;
    inflight_window& operator=(const inflight_window&) = delete;

    // An identifier that is not in use, or 0 when all are. It stays free until add().
    std::uint16_t next_packet_id();

    // Notes that a message was sent under an identifier from next_packet_id().
    // Takes content only when there is memory for its entry.
    inflight_entry& add(std::uint16_t packet_id, qos level, message_ptr&& content, bool retain);

    // The entry of an identifier, or null. Valid until the next add() or remove().
    inflight_entry* find(std::uint16_t packet_id) noexcept {
        if (slots_.empty()) return nullptr;
        inflight_entry& entry = slots_[slot_of(packet_id)];
        const bool there = entry.state != inflight_state::unused && entry.packet_id == packet_id;
        return there ? &entry : nullptr;
    }
    void remove(inflight_entry& entry) noexcept;
    // The content is not needed any more, because PUBREC has come.
    void release_content(inflight_entry& entry) noexcept;
    void clear();

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    // What the contents take of memory.
    std::size_t bytes() const noexcept { return bytes_; }

    // Calls visit(inflight_entry&) in the order of sending. visit must not add or remove.
    template <class Visit>
    void for_each(Visit&& visit) {
        for (std::uint16_t id = first_; id != 0;) {
            inflight_entry& entry = *find(id);
            id = entry.next;
            visit(entry);
        }
    }

  private:
    std::size_t slot_of(std::uint16_t packet_id) const noexcept {
        return packet_id & (slots_.size() - 1);
    }
    bool is_taken(std::uint16_t packet_id) const noexcept;
    void make_room(std::uint16_t packet_id);
    void set_slots(std::size_t count);

    // A power of two of slots, an entry in the slot of its identifier's low bits: identifiers
    // that follow each other never collide, and when two do the table doubles.
    std::vector<inflight_entry> slots_;
    backlog* total_;
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;
    std::uint16_t first_ = 0;
    std::uint16_t last_ = 0;
    std::uint16_t turn_ = 0;  // the identifier given out last
};

}  // namespace amqtt
