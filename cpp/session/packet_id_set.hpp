#pragma once

#include <cstddef>
#include <cstdint>

#include <boost/unordered/unordered_flat_set.hpp>

#include "base/footprint.hpp"
#include "base/lazy_ptr.hpp"

namespace amqtt {

// Packet identifiers of received QoS 2 messages whose PUBREL has not come yet. Most sessions never
// have one.
class packet_id_set {
  public:
    bool empty() const noexcept { return ids_->empty(); }
    std::size_t size() const noexcept { return ids_->size(); }
    bool contains(std::uint16_t packet_id) const noexcept { return ids_->contains(packet_id); }
    // Both: false when that changes nothing.
    bool insert(std::uint16_t packet_id) { return ids_.make().insert(packet_id).second; }
    bool erase(std::uint16_t packet_id) noexcept {
        auto* const made = ids_.get();
        if (made == nullptr || made->erase(packet_id) == 0) return false;
        shrink_if_sparse(*made);
        return true;
    }
    void clear() noexcept { ids_.reset(); }
    // What it takes of memory.
    std::size_t bytes() const noexcept {
        const std::size_t table = table_bytes(*ids_);
        return table == 0 ? 0 : table + allocated(sizeof(*ids_));
    }

  private:
    lazy_ptr<boost::unordered_flat_set<std::uint16_t>> ids_;
};

}  // namespace amqtt
