#include "support/memory_store.hpp"

#include <gtest/gtest.h>

namespace amqtt::test {
namespace {

template <class Row>
void put(std::map<std::uint64_t, Row>& table, const std::vector<Row>& rows, bool replaces) {
    for (const Row& row : rows) {
        const bool is_new = table.insert_or_assign(row.id, row).second;
        EXPECT_TRUE(is_new || replaces) << "a row with the id " << row.id << " was there";
        EXPECT_NE(row.id, 0U);
    }
}

template <class Row>
std::vector<Row> rows_of(const std::map<std::uint64_t, Row>& table) {
    std::vector<Row> rows;
    for (const auto& [id, row] : table)
        rows.push_back(row);
    return rows;
}

}  // namespace

std::uint64_t memory_store::write() {
    const auto batch = std::move(handed_over);
    for (const auto& [session, packet_id] : batch->removed_received)
        received.erase({session, packet_id});
    put(sessions, batch->sessions, true);
    put(subscriptions, batch->subscriptions, true);
    put(messages, batch->messages, false);
    put(deliveries, batch->deliveries, false);
    put(retained, batch->retained, false);
    for (const auto& [session, packet_id] : batch->received)
        EXPECT_TRUE(received.emplace(session, packet_id).second);
    for (const delivery_change& change : batch->delivery_states) {
        const auto row = deliveries.find(change.id);
        if (row == deliveries.end()) continue;
        row->second.packet_id = change.packet_id;
        row->second.state = change.state;
    }
    for (const std::uint64_t id : batch->ended_sessions) {
        sessions.erase(id);
        std::erase_if(subscriptions, [id](const auto& each) { return each.second.session == id; });
        std::erase_if(deliveries, [id](const auto& each) { return each.second.session == id; });
        std::erase_if(received, [id](const auto& each) { return each.first == id; });
    }
    for (const std::uint64_t id : batch->removed_subscriptions)
        subscriptions.erase(id);
    for (const std::uint64_t id : batch->removed_messages)
        messages.erase(id);
    for (const std::uint64_t id : batch->removed_deliveries)
        deliveries.erase(id);
    for (const std::uint64_t id : batch->removed_retained)
        retained.erase(id);
    return batch->number;
}

stored_state memory_store::content() const {
    stored_state all;
    all.sessions = rows_of(sessions);
    all.subscriptions = rows_of(subscriptions);
    all.messages = rows_of(messages);
    all.deliveries = rows_of(deliveries);
    for (const auto& [session, packet_id] : received)
        all.received.push_back({session, packet_id});
    all.retained = rows_of(retained);
    return all;
}

}  // namespace amqtt::test
