// A store in memory that commits when it is told to, and outlives brokers that crash.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "storage/state_store.hpp"

namespace amqtt::test {

class memory_store : public state_store {
  public:
    void changed() override { is_changed = true; }
    void commit(std::unique_ptr<state_changes> batch) override {
        handed_over = std::move(batch);
        ++batches;
    }

    // Writes the batch that was handed over; returns its number.
    std::uint64_t write();
    // What was written.
    stored_state content() const;

    bool is_changed = false;
    std::unique_ptr<state_changes> handed_over;  // and not written yet
    std::size_t batches = 0;

    std::map<std::uint64_t, session_row> sessions;
    std::map<std::uint64_t, subscription_row> subscriptions;
    std::map<std::uint64_t, message_row> messages;
    std::map<std::uint64_t, delivery_row> deliveries;
    std::set<std::pair<std::uint64_t, std::uint16_t>> received;
    std::map<std::uint64_t, message_row> retained;
};

}  // namespace amqtt::test
