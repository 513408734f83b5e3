// The client engine while its thread runs it, while others do, and in between.
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/engines.hpp"

namespace amqtt::test {
namespace {

message_ptr numbered(int number, qos level) {
    return message::create("echo", as_bytes(std::to_string(number)), level, false);
}

// Gathers a message that the client is to receive; true when it is not on its way yet.
bool gather(test_clients& clients, client_handle client, int number, qos level) {
    return clients.engine.gather({client, client_publish_command{0, numbered(number, level)}});
}

void expect_numbered(test_clients& clients, client_handle client, int number) {
    EXPECT_EQ(as_text(clients.expect<message_event>(client).content->payload()),
              std::to_string(number));
}

client_handle connect_echo(test_clients& clients, std::uint16_t port, std::string client_id) {
    const client_handle client = clients.connect(port, std::move(client_id));
    clients.subscribe(client, "echo", qos::exactly_once);
    return client;
}

// Has messages come one by one until the engine is run by this thread; returns the next number.
int echo_until_lent(test_clients& clients, client_handle client) {
    for (int number = 0; number < 100'000; ++number) {
        const bool waits = gather(clients, client, number, qos::at_most_once);
        if (waits) clients.engine.flush();
        expect_numbered(clients, client, number);
        if (!waits) return number + 1;
    }
    ADD_FAILURE() << "the engine was never run by this thread";
    return 0;
}

TEST(client_engine, sends_lone_messages_at_once) {
    running_broker broker;
    test_clients clients;
    const client_handle c = connect_echo(clients, broker.port, "c");
    int number = echo_until_lent(clients, c);
    for (const qos level : {qos::at_most_once, qos::at_least_once, qos::exactly_once}) {
        for (int i = 0; i < 300 && !testing::Test::HasFailure(); ++i, ++number) {
            if (gather(clients, c, number, level)) clients.engine.flush();
            expect_numbered(clients, c, number);
        }
    }
}

TEST(client_engine, gathers_what_follows_a_lone_message) {
    running_broker broker;
    test_clients clients;
    const client_handle c = connect_echo(clients, broker.port, "c");
    const int first = echo_until_lent(clients, c);
    constexpr int many = 1000;
    for (int i = 0; i < many; ++i)
        gather(clients, c, first + i, qos::at_most_once);
    clients.engine.flush();
    for (int i = 0; i < many && !testing::Test::HasFailure(); ++i)
        expect_numbered(clients, c, first + i);
}

TEST(client_engine, goes_on_by_itself_when_nobody_runs_it) {
    running_broker broker;
    test_clients clients;
    const client_handle c = connect_echo(clients, broker.port, "c");
    const int next = echo_until_lent(clients, c);
    const std::uint64_t before = broker.engine.status().stats.packets_received;
    broker.publish(numbered(next, qos::exactly_once), qos::exactly_once);
    // Nobody looks for events: the thread alone can send PUBREC and PUBCOMP.
    while (broker.engine.status().stats.packets_received < before + 2)
        std::this_thread::yield();
    expect_numbered(clients, c, next);
}

TEST(client_engine, makes_a_connection_while_others_run_it) {
    running_broker broker;
    test_clients clients;
    const client_handle first = connect_echo(clients, broker.port, "first");
    echo_until_lent(clients, first);
    const client_handle second = clients.connect(broker.port, "second");
    EXPECT_EQ(broker.engine.status().stats.clients_connected, 2U);
    clients.command(first, disconnect_command{1000});
    EXPECT_EQ(clients.expect<completion_event>(first).ticket, 1000U);
    clients.command(second, forget_command{});
}

TEST(client_engine, tells_the_loss_of_a_connection_that_others_run) {
    test_clients clients;
    client_handle c = 0;
    {
        running_broker broker;
        c = connect_echo(clients, broker.port, "c");
        echo_until_lent(clients, c);
    }
    clients.expect<connection_lost_event>(c);
    clients.command(c, ping_command{2000});
    EXPECT_EQ(clients.expect<failure_event>(c).ticket, 2000U);
}

TEST(client_engine, serves_several_clients_by_turns) {
    running_broker broker;
    test_clients clients;
    std::vector<client_handle> all;
    for (int i = 0; i < 6; ++i) {  // with the fifth the thread runs the engine again
        all.push_back(clients.connect(broker.port, std::to_string(i)));
        clients.subscribe(all.back(), "to/" + std::to_string(i), qos::at_least_once);
        for (int round = 0; round < 50; ++round) {
            for (int to = 0; to <= i && !testing::Test::HasFailure(); ++to) {
                if (clients.engine.gather(
                        {all.front(),
                         client_publish_command{0, message::create("to/" + std::to_string(to),
                                                                   as_bytes(std::to_string(round)),
                                                                   qos::at_most_once, false)}})) {
                    clients.engine.flush();
                }
                expect_numbered(clients, all[static_cast<std::size_t>(to)], round);
            }
        }
    }
}

// Bursts of random sizes, between lone messages and pauses: nothing is lost or out of order.
TEST(client_engine, keeps_the_order_whoever_runs_it) {
    running_broker broker;
    test_clients clients;
    const client_handle c = connect_echo(clients, broker.port, "c");
    std::mt19937 random(7);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same each time
    int sent = 0;
    int received = 0;
    for (int round = 0; round < 300 && !testing::Test::HasFailure(); ++round) {
        const int lone = static_cast<int>(random() % 30);
        for (int i = 0; i < lone; ++i) {
            if (gather(clients, c, sent++, qos::at_most_once)) clients.engine.flush();
            expect_numbered(clients, c, received++);
        }
        const int burst = static_cast<int>(random() % 200);
        bool waits = false;
        for (int i = 0; i < burst; ++i)
            waits = gather(clients, c, sent++, static_cast<qos>(random() % 2)) || waits;
        if (waits) clients.engine.flush();
        while (received < sent && !testing::Test::HasFailure())
            expect_numbered(clients, c, received++);
    }
}

}  // namespace
}  // namespace amqtt::test
