#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/message.hpp"
#include "base/reason_code.hpp"
#include "session/inflight_window.hpp"
#include "session/packet_id_set.hpp"
#include "storage/client_state_change.hpp"

namespace amqtt {

// Session State of a client, as the client itself keeps it (section 4.1). Outlives network
// connections, and when it is kept elsewhere the process.
class client_state {
  public:
    inflight_window inflight;
    // SUBSCRIBE and UNSUBSCRIBE without their answer: ticket by packet identifier.
    boost::unordered_flat_map<std::uint16_t, std::uint64_t> requests;

    // An identifier neither in flight nor of a request, or 0 when all are taken.
    std::uint16_t next_packet_id() {
        if (inflight.size() + requests.size() >= 65'535) return 0;
        std::uint16_t id = inflight.next_packet_id();
        while (requests.contains(id))
            id = inflight.next_packet_id();
        return id;
    }

    // -- changes

    inflight_entry& add(std::uint64_t ticket, std::uint16_t packet_id, message_ptr content);
    void pubrec_came(inflight_entry& entry, reason_code code);
    void remove(std::uint16_t packet_id);
    // True when the message is new.
    bool receive(std::uint16_t packet_id);
    // True when there was such a message.
    bool release(std::uint16_t packet_id);
    void forget_received();

    const packet_id_set& received_qos2() const noexcept { return received_qos2_; }

    // -- keeping it elsewhere

    // From now on changes are noted.
    void keep() noexcept { kept_ = true; }
    bool is_kept() const noexcept { return kept_; }
    // What was kept: a message, or with a code one whose PUBREC has come. In the order of sending.
    void restore(std::uint64_t ticket, std::uint16_t packet_id, message_ptr content);
    void restore_released(std::uint64_t ticket, std::uint16_t packet_id, reason_code code);
    void restore_received(std::uint16_t packet_id) { received_qos2_.insert(packet_id); }

    // Changes are numbered from 1; those not yet taken.
    std::vector<client_state_change> take_changes() { return std::exchange(changes_, {}); }
    bool has_changes() const noexcept { return !changes_.empty(); }
    void stored(std::uint64_t number) noexcept { stored_ = number; }
    // The number of the change that what depends on all of them waits for; 0: all are stored.
    std::uint64_t awaited() const noexcept { return stored_ < last_ ? last_ : 0; }

  private:
    void note(client_state_change change) {
        if (!kept_) return;
        changes_.push_back(std::move(change));
        ++last_;
    }

    packet_id_set received_qos2_;
    bool kept_ = false;
    std::vector<client_state_change> changes_;
    std::uint64_t last_ = 0;
    std::uint64_t stored_ = 0;
};

}  // namespace amqtt
