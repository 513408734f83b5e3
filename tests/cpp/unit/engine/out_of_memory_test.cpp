// Each allocation of a conversation fails once: the clients at fault are disconnected, and the
// broker serves others afterwards.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/raw_client.hpp"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

// Counts down with each allocation of a thread of the engine; the one that reaches 0 fails.
std::atomic<std::int64_t> until_failure{0};
thread_local bool is_test = false;

void* allocate(std::size_t size) {
    if (!is_test && until_failure > 0 && --until_failure == 0) throw std::bad_alloc();
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) {
    return allocate(size);
}

void operator delete(void* memory) noexcept {
    std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace amqtt::test {
namespace {

// Sends a packet and waits for an answer of that size; false when the connection ended before.
bool converse(const raw_client& with, const bytes& sent, std::size_t answer) {
    return with.send_some(sent) == sent.size() && with.receive(answer).size() == answer;
}

// A client subscribes, another publishes; as far as they get.
void converse_with(std::uint16_t port, unsigned level, const std::string& name) {
    const bytes message =
        publish({.topic = "t", .payload = "x", .level = level, .packet_id = level == 0 ? 0U : 1U});
    const raw_client subscriber(port);
    if (!converse(subscriber, connect({.client_id = name + "s"}), 4)) return;
    if (!converse(subscriber, subscribe(1, {{"t", level}}), 5)) return;
    const raw_client publisher(port);
    connect_spec who{.client_id = name + "p", .clean = level != 1};
    who.will = {{"will", "gone"}};
    if (!converse(publisher, connect(who), 4)) return;
    // An answer means that the message was delivered.
    if (!converse(publisher, level == 0 ? message + pingreq() : message, level == 0 ? 2 : 4))
        return;
    // The message, or the end.
    if (subscriber.receive(message.size()).size() != message.size()) return;
    if (level == 1) subscriber.send_some(puback(1));
    subscriber.send_some(disconnect());
}

class out_of_memory : public testing::TestWithParam<std::size_t> {
  protected:
    out_of_memory() { is_test = true; }
    ~out_of_memory() override {
        until_failure = 0;
        is_test = false;
    }

    static void expect_service(std::uint16_t port, std::size_t round) {
        const std::string name = "round" + std::to_string(round);
        const raw_client client(port, name);
        client.subscribe_to(name, 1);
        client.send(publish({.topic = name, .payload = "x", .level = 1, .packet_id = 7}));
        const bytes mine = publish({.topic = name, .payload = "x", .level = 1, .packet_id = 1});
        const std::size_t size = mine.size() + puback(7).size();
        EXPECT_EQ(client.receive(size).size(), size) << name;
        client.send(puback(1) + disconnect());
    }
};

// The clients have left, and the engine notices that for each.
bool ends_all_connections(running_broker& broker) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (broker.engine.status().connections.front().second > 0) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::yield();
    }
    return true;
}

TEST_P(out_of_memory, ends_no_more_than_the_connection_at_fault) {
    running_broker broker({}, running_broker::admits_everyone(), {}, GetParam());
    for (unsigned level = 0; level <= 2; ++level) {
        converse_with(broker.port, level, "warm");
        std::size_t round = 0;
        bool has_failed = true;
        while (has_failed && !HasFailure()) {
            ++round;
            until_failure = static_cast<std::int64_t>(round);
            converse_with(broker.port, level, "c");
            has_failed = until_failure.exchange(0) == 0;
            expect_service(broker.port, round);
            EXPECT_TRUE(ends_all_connections(broker))
                << "allocation " << round << " at QoS " << level;
        }
        EXPECT_GT(round, 10U);
        RecordProperty("allocations at QoS " + std::to_string(level), static_cast<int>(round));
    }
    // Nobody was forgotten: sessions end with their connections, but the publisher's at QoS 1.
    EXPECT_EQ(broker.engine.status().stats.clients_connected, 0U);
    EXPECT_LE(broker.engine.session_count(), 1U);
    std::vector<broker_event> events;
    broker.engine.take_events(events, 100'000);
    EXPECT_FALSE(events.empty());  // it was logged
}

INSTANTIATE_TEST_SUITE_P(with_threads, out_of_memory, testing::Values(1U, 2U));

}  // namespace
}  // namespace amqtt::test

#endif
