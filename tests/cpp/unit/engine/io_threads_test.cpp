// Brokers whose sockets are on other threads than their core.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/engines.hpp"
#include "support/raw_client.hpp"
#include "support/wire.hpp"

namespace amqtt::test {
namespace {

class threads : public ::testing::TestWithParam<std::size_t> {
  protected:
    running_broker make(const broker_settings& settings = {}, python_decisions python = {}) {
        return running_broker(settings, running_broker::admits_everyone(), std::move(python),
                              GetParam());
    }
};

TEST_P(threads, order_and_content_of_messages_are_kept) {
    auto broker = make();
    const raw_client subscriber(broker.port, "s");
    subscriber.subscribe_to("t");
    // Sizes on either side of what is copied, and of a block.
    bytes sent;
    for (std::size_t i = 0; i < 300; ++i) {
        const std::size_t size = i % 50 == 0 ? 100'000 : i % 7 == 0 ? 5000 : i % 3 == 0 ? 900 : 9;
        sent = sent + publish({"t", numbered(i, size)});
    }
    const raw_client publisher(broker.port, "p");
    std::thread sending([&] { publisher.send(sent); });
    const bytes got = subscriber.receive(sent.size());
    sending.join();
    EXPECT_TRUE(got == sent);
    const auto status = broker.engine.status();
    EXPECT_EQ(status.stats.publish_received, 300U);
    EXPECT_EQ(status.connections.front().second, 2U);
}

TEST_P(threads, sent_bytes_are_counted) {
    auto broker = make();
    const raw_client client(broker.port, "c");
    client.ping();
    client.ping();
    const auto stats = [&] { return broker.engine.status().stats; };
    // The thread may have told of the first answer only, while the second is here already.
    while (stats().bytes_sent < 8 && !HasFailure()) {
        client.send({0xC0, 0x00});
        client.receive(2);
    }
    EXPECT_GE(stats().bytes_received, 14U + 4U);
}

TEST_P(threads, peer_that_ends_its_side_is_answered_first) {
    auto broker = make();
    for (int round = 0; round < 50; ++round) {
        const raw_client client(broker.port);
        connect_spec who;
        who.client_id = "c";
        client.send(connect(who) + publish({"t", "p", 1, 7}));
        client.end();
        EXPECT_EQ(client.receive_until_end(), connack() + puback(7));
    }
    EXPECT_EQ(broker.engine.status().stats.publish_received, 50U);
}

TEST_P(threads, close_does_not_overtake_output) {
    auto broker = make();
    for (int round = 0; round < 5; ++round) {
        const raw_client client(broker.port, "c");
        client.subscribe_to("t");
        const std::string payload = numbered(7, 3'000'000);
        broker.publish(message::create("t", as_bytes(payload), qos::at_most_once, false));
        broker.engine.execute(disconnect_client_command{"c", reason_code::administrative_action});
        EXPECT_TRUE(client.receive_until_end() == publish({"t", payload}));
    }
}

TEST_P(threads, input_that_waits_for_a_decision_is_bounded) {
    python_decisions python;
    python.authenticate = true;
    auto broker = make({}, python);
    const raw_client client(broker.port);
    connect_spec who;
    who.client_id = "c";
    client.send(connect(who));
    std::uint64_t ticket = 0;
    while (ticket == 0 && !HasFailure()) {
        std::vector<broker_event> taken;
        broker.engine.take_events(taken, 1);
        if (taken.empty()) {
            ASSERT_TRUE(wait_readable(broker.engine.event_fd()));
        }
        for (const broker_event& event : taken) {
            if (const auto* asked = std::get_if<authenticate_event>(&event)) ticket = asked->ticket;
        }
    }
    const bytes some = repeated(publish({"t", numbered(1, 1000)}), 4000);
    std::size_t sent = client.send_some(some);
    ASSERT_GT(sent, 0U);
    // Another client is served meanwhile, and by then the broker has taken what it will take.
    broker.engine.execute(publish_command{
        message::create("other", as_bytes("x"), qos::at_most_once, false), std::nullopt});
    EXPECT_LE(broker.engine.status().stats.bytes_received, 1024U * 1024U);
    broker.engine.execute(authenticated_command{ticket, true, reason_code::success, {}, {}});
    EXPECT_EQ(client.receive(4), connack());
    client.send(bytes(some.begin() + static_cast<std::ptrdiff_t>(sent), some.end()));
    client.ping();
    EXPECT_EQ(broker.engine.status().stats.publish_received, 4000U);
}

TEST_P(threads, reader_that_is_stuck_holds_up_nobody) {
    broker_settings settings;
    settings.queue = {1000, 1024 * 1024};
    auto broker = make(settings);
    const raw_client stuck(broker.port, "stuck");
    stuck.subscribe_to("t");
    const raw_client reader(broker.port, "reader");
    reader.subscribe_to("t");
    const raw_client publisher(broker.port, "p");
    // More than sockets, output and queue of the stuck one can hold.
    const bytes one = publish({"t", numbered(1, 10'000)});
    for (int round = 0; round < 40; ++round) {
        const bytes many = repeated(one, 100);
        std::thread sending([&] { publisher.send(many); });
        EXPECT_TRUE(reader.receive(many.size()) == many);
        sending.join();
    }
    publisher.ping();
    EXPECT_GT(broker.engine.status().stats.publish_dropped, 0U);
    // What was not dropped comes when it reads at last, whole.
    stuck.send({0xC0, 0x00});
    bytes got;
    while (!HasFailure()) {
        const bytes head = stuck.receive(2);
        if (head == bytes{0xD0, 0x00}) break;
        ASSERT_EQ(head[0], 0x30);
        EXPECT_TRUE(head + stuck.receive(one.size() - 2) == one);
    }
}

TEST_P(threads, clients_come_and_go_under_load) {
    auto broker = make();
    const raw_client watcher(broker.port, "watcher");
    watcher.subscribe_to("steady");
    constexpr std::size_t steady_count = 3000;
    std::thread steady([&] {
        const raw_client publisher(broker.port, "steady");
        for (std::size_t i = 0; i < steady_count; ++i)
            publisher.send(publish({"steady", numbered(i, 100)}));
        publisher.ping();
    });
    std::vector<std::thread> crowd;
    for (int each = 0; each < 4; ++each) {
        crowd.emplace_back([&, name = "crowd" + std::to_string(each)] {
            for (int round = 0; round < 60; ++round) {
                const raw_client client(broker.port, name);  // with a take-over now and then
                client.subscribe_to("crowd/#");
                client.send(repeated(publish({"crowd/" + name, numbered(1, 2000)}), 20));
                if (round % 3 == 0) client.receive(1000);
                if (round % 3 == 1) client.send({0xE0, 0x00});
                // else it vanishes with unread input
            }
        });
    }
    for (std::size_t i = 0; i < steady_count && !HasFailure(); ++i) {
        const bytes expected = publish({"steady", numbered(i, 100)});
        EXPECT_TRUE(watcher.receive(expected.size()) == expected) << i;
    }
    steady.join();
    for (std::thread& each : crowd)
        each.join();
    watcher.ping();
    // All of the crowd are noticed to be gone.
    while (broker.engine.status().connections.front().second > 1 && !HasFailure())
        watcher.ping();
    EXPECT_EQ(broker.engine.status().stats.clients_connected, 1U);
}

TEST_P(threads, stop_with_much_under_way) {
    for (int round = 0; round < 5; ++round) {
        auto broker = make();
        std::vector<std::unique_ptr<raw_client>> clients;
        for (int i = 0; i < 8; ++i) {
            clients.push_back(std::make_unique<raw_client>(broker.port, "c" + std::to_string(i)));
            clients.back()->subscribe_to("#");
        }
        for (const auto& each : clients)
            each->send_some(repeated(publish({"t", numbered(1, 1000)}), 200));
        broker.engine.stop();
        EXPECT_EQ(broker.engine.status().stats.clients_connected, 0U);
        EXPECT_EQ(broker.engine.status().connections.front().second, 0U);
    }
}

// Per message far less than one, and not more with more threads.
TEST(threads_exchange, is_in_batches) {
    constexpr std::size_t pairs = 6;
    constexpr std::size_t count = 5000;
    for (const std::size_t number : {2U, 4U, 8U}) {
        running_broker broker({}, running_broker::admits_everyone(), {}, number);
        std::vector<std::thread> running;
        for (std::size_t pair = 0; pair < pairs; ++pair) {
            running.emplace_back([&, name = std::to_string(pair)] {
                const raw_client subscriber(broker.port, "s" + name);
                subscriber.subscribe_to(name);
                const raw_client publisher(broker.port, "p" + name);
                const bytes all = repeated(publish({name, numbered(1, 64)}), count);
                std::thread sending([&] { publisher.send(all); });
                EXPECT_TRUE(subscriber.receive(all.size()) == all);
                sending.join();
            });
        }
        for (std::thread& each : running)
            each.join();
        const auto status = broker.engine.status();
        const double messages = pairs * count;
        EXPECT_LT(static_cast<double>(status.exchanged.batches) / messages, 0.2) << number;
        EXPECT_LE(status.exchanged.wake_ups, status.exchanged.batches);
        std::printf("%zu threads: %.4f batches, %.4f wake-ups per message\n", number,
                    static_cast<double>(status.exchanged.batches) / messages,
                    static_cast<double>(status.exchanged.wake_ups) / messages);
    }
}

INSTANTIATE_TEST_SUITE_P(of, threads, ::testing::Values(1, 2, 3, 5));

}  // namespace
}  // namespace amqtt::test
