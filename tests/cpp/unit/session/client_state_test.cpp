#include "session/client_state.hpp"

#include <gtest/gtest.h>

namespace amqtt {
namespace {

void add_publish(client_state& state, std::uint16_t id) {
    state.inflight.add(id, qos::at_least_once, message::create("t", {}, qos::at_least_once, false),
                       false);
}

// 3.1.1:MQTT-2.3.1-2@client
TEST(ClientState, PublishesAndRequestsShareTheIdentifiers) {
    client_state state;
    add_publish(state, state.next_packet_id());
    state.requests.emplace(state.next_packet_id(), 7);
    EXPECT_TRUE(state.requests.contains(2));
    for (int id = 3; id <= 65'535; ++id)
        EXPECT_EQ(state.next_packet_id(), id);
    EXPECT_EQ(state.next_packet_id(), 3) << "1 and 2 are in use";
    state.requests.erase(2);
    for (int id = 4; id <= 65'535; ++id)
        state.next_packet_id();
    EXPECT_EQ(state.next_packet_id(), 2);
}

TEST(ClientState, HasNoIdentifierWhenAllAreTaken) {
    client_state state;
    for (int i = 0; i < 65'535; ++i) {
        const std::uint16_t id = state.next_packet_id();
        ASSERT_NE(id, 0);
        if (id % 2 == 0) {
            add_publish(state, id);
        } else {
            state.requests.emplace(id, id);
        }
    }
    EXPECT_EQ(state.next_packet_id(), 0);
    state.requests.erase(4711);
    EXPECT_EQ(state.next_packet_id(), 4711);
    state.requests.emplace(4711, 0);
    state.inflight.remove(*state.inflight.find(42));
    EXPECT_EQ(state.next_packet_id(), 42);
}

}  // namespace
}  // namespace amqtt
