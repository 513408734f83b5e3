// Clients that disconnect and are back at once, with their sockets on any thread.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/raw_client.hpp"

namespace amqtt::test {
namespace {

constexpr std::size_t rounds = 150;

// Of MQTT 5.0, with clean start, a session that outlasts its connection for that many seconds, and
// a will for topic w.
bytes connect_for(unsigned session_seconds) {
    const bytes head = string_field("MQTT") + bytes{5, 0x06} + u16_field(0);
    const bytes properties =
        bytes{5, 0x11, 0, 0} + u16_field(session_seconds);  // Session Expiry Interval
    return packet(0x10, head + properties + string_field("x") + bytes{0} + string_field("w") +
                            string_field("will"));
}

// A message of MQTT 5.0; its number, and the size its payload is to have.
bytes message_of(std::size_t number, std::size_t size) {
    const std::string payload = numbered(number, size);
    return packet(0x30, string_field("t") + bytes{0} + bytes(payload.begin(), payload.end()));
}

// What a client sends in a round: once a while more than may be under way to the core.
bytes messages_of(std::size_t round) {
    bytes all;
    for (std::size_t i = 0; i < 3; ++i) {
        const bool is_large = round % 10 == 0 && i < 2;
        all = all + message_of(round * 3 + i, is_large ? 600'000 : 20);
    }
    return all;
}

std::size_t take_overs(broker_engine& engine) {
    std::size_t found = 0;
    std::vector<broker_event> taken;
    while (engine.take_events(taken, 1000)) {
    }
    for (const broker_event& each : taken) {
        const auto* const record = std::get_if<log_record>(&each);
        if (record && record->text.find("taken over") != std::string::npos) ++found;
    }
    return found;
}

struct way {
    std::size_t threads;
    unsigned session_seconds;
};

class succession : public ::testing::TestWithParam<way> {
  protected:
    // Rounds of a client that sends its messages and leaves, while another watches.
    void run(const bytes& farewell, const bytes& seen_of_farewell) {
        running_broker broker({}, running_broker::admits_everyone(), {}, GetParam().threads);
        const raw_client watcher(broker.port);
        watcher.send(
            packet(0x10, string_field("MQTT") + bytes{5, 0x02, 0, 0, 0} + string_field("watcher")));
        const bytes connack = watcher.receive(2);
        watcher.receive(connack[1]);
        watcher.send({0x82, 7, 0, 1, 0, 0, 1, '#', 0});
        EXPECT_EQ(watcher.receive(6), (bytes{0x90, 4, 0, 1, 0, 0}));
        std::thread client([&] {
            std::unique_ptr<raw_client> before;
            for (std::size_t round = 0; round < rounds && !HasFailure(); ++round) {
                auto next = std::make_unique<raw_client>(broker.port);
                before.reset();  // closed only now: DISCONNECT is what is to be found
                next->send(connect_for(GetParam().session_seconds));
                const bytes head = next->receive(2);
                ASSERT_EQ(head.size(), 2U);
                ASSERT_EQ(next->receive(head[1])[1], 0);
                next->send(messages_of(round) + farewell);
                if (!farewell.empty()) before = std::move(next);
            }
        });
        bytes expected;
        for (std::size_t round = 0; round < rounds && !HasFailure(); ++round) {
            expected = messages_of(round) + seen_of_farewell;
            EXPECT_TRUE(watcher.receive(expected.size()) == expected) << "round " << round;
        }
        client.join();
        EXPECT_EQ(take_overs(broker.engine), 0U);
    }
};

TEST_P(succession, after_disconnect_is_no_take_over) {
    run({0xE0, 0x00}, {});
}

// Its will comes, between what it has sent before and after.
TEST_P(succession, after_the_end_without_disconnect_is_no_take_over) {
    run({}, packet(0x30, string_field("w") + bytes{0, 'w', 'i', 'l', 'l'}));
}

INSTANTIATE_TEST_SUITE_P(of, succession,
                         ::testing::Values(way{1, 0}, way{1, 60}, way{2, 0}, way{2, 60}, way{3, 0},
                                           way{3, 60}, way{4, 0}, way{4, 60}, way{6, 60}),
                         [](const auto& each) {
                             return std::to_string(each.param.threads) + "_threads_session_" +
                                    std::to_string(each.param.session_seconds);
                         });

}  // namespace
}  // namespace amqtt::test
