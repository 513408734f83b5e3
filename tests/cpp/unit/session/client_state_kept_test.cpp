#include <gtest/gtest.h>

#include "session/client_state.hpp"

namespace amqtt::test {
namespace {

using kind = client_state_change::kind;

message_ptr make(unsigned level) {
    return message::create("t", {}, static_cast<qos>(level), false);
}

std::vector<std::pair<kind, std::uint16_t>> taken(client_state& state) {
    std::vector<std::pair<kind, std::uint16_t>> all;
    for (const client_state_change& change : state.take_changes())
        all.emplace_back(change.what, change.packet_id);
    return all;
}

TEST(client_state_kept_test, notes_nothing_unless_it_is_kept) {
    client_state state;
    state.add(1, 1, make(2));
    state.pubrec_came(*state.inflight.find(1), reason_code::success);
    state.remove(1);
    state.receive(2);
    state.release(2);
    EXPECT_FALSE(state.has_changes());
    EXPECT_EQ(state.awaited(), 0U);
}

TEST(client_state_kept_test, notes_each_change_once_and_in_order) {
    client_state state;
    state.keep();
    state.add(11, 1, make(2));
    const auto added = state.take_changes();
    ASSERT_EQ(added.size(), 1U);
    EXPECT_EQ(added[0].what, kind::added);
    EXPECT_EQ(added[0].ticket, 11U);
    EXPECT_EQ(added[0].content->topic(), "t");
    state.pubrec_came(*state.inflight.find(1), reason_code::no_matching_subscribers);
    state.remove(1);
    EXPECT_TRUE(state.receive(2));
    EXPECT_FALSE(state.receive(2));
    EXPECT_TRUE(state.release(2));
    EXPECT_FALSE(state.release(2));
    state.forget_received();
    state.receive(3);
    state.forget_received();
    const std::vector<std::pair<kind, std::uint16_t>> expected{
        {kind::pubrec, 1},   {kind::done, 1},     {kind::received, 2},
        {kind::released, 2}, {kind::received, 3}, {kind::nothing_received, 0}};
    EXPECT_EQ(taken(state), expected);
    EXPECT_FALSE(state.has_changes());
}

TEST(client_state_kept_test, waits_for_the_last_change) {
    client_state state;
    state.keep();
    state.add(1, 1, make(1));
    state.add(2, 2, make(1));
    EXPECT_EQ(state.awaited(), 2U);
    state.stored(1);
    EXPECT_EQ(state.awaited(), 2U);
    state.stored(2);
    EXPECT_EQ(state.awaited(), 0U);
}

TEST(client_state_kept_test, is_restored_without_a_change) {
    client_state state;
    state.keep();
    state.restore(11, 1, make(1));
    state.restore_released(12, 2, reason_code::success);
    state.restore_received(3);
    EXPECT_FALSE(state.has_changes());
    EXPECT_EQ(state.inflight.find(1)->state, inflight_state::awaiting_puback);
    EXPECT_EQ(state.inflight.find(2)->state, inflight_state::awaiting_pubcomp);
    EXPECT_EQ(state.inflight.find(2)->ticket, 12U);
    EXPECT_TRUE(state.received_qos2().contains(3));
    EXPECT_EQ(state.next_packet_id(), 3U);  // of the other direction
}

}  // namespace
}  // namespace amqtt::test
