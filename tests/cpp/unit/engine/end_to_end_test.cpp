// Broker and client engines over loopback.
#include <map>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "support/engines.hpp"

namespace amqtt::test {
namespace {

TEST(end_to_end, connects_and_disconnects) {
    running_broker broker;
    test_clients clients;
    const client_handle c = clients.connect(broker.port, "c");
    EXPECT_EQ(broker.engine.status().stats.clients_connected, 1U);
    EXPECT_EQ(broker.engine.status().sessions, 1U);
    EXPECT_EQ(broker.engine.status().connections.front().second, 1U);
    clients.command(c, disconnect_command{77});
    EXPECT_EQ(clients.expect<completion_event>(c).ticket, 77U);
    clients.reconnect(c, broker.port, "c");
    clients.command(c, abort_command{78});
    EXPECT_EQ(clients.expect<completion_event>(c).ticket, 78U);
}

TEST(end_to_end, delivers_at_every_qos) {
    running_broker broker;
    test_clients clients;
    const client_handle c = clients.connect(broker.port, "c");
    clients.subscribe(c, "a/#", qos::exactly_once);
    for (const qos level : {qos::at_most_once, qos::at_least_once, qos::exactly_once}) {
        const std::uint64_t ticket = clients.publish(c, "a/b", "payload", level);
        bool completed = false;
        bool received = false;
        while (!(completed && received) && !HasFailure()) {
            const client_event event = clients.next();
            if (const auto* done = std::get_if<completion_event>(&event.what)) {
                EXPECT_EQ(done->ticket, ticket);
                completed = true;
            } else if (const auto* got = std::get_if<message_event>(&event.what)) {
                EXPECT_EQ(got->content->topic(), "a/b");
                EXPECT_EQ(as_text(got->content->payload()), "payload");
                EXPECT_EQ(got->content->level(), level);
                received = true;
            }
        }
    }
    EXPECT_EQ(broker.engine.status().subscriptions, 1U);
}

TEST(end_to_end, answers_pings_and_unsubscribes) {
    running_broker broker;
    test_clients clients;
    const client_handle c = clients.connect(broker.port, "c");
    clients.subscribe(c, "a", qos::at_most_once);
    clients.command(c, ping_command{50});
    EXPECT_EQ(clients.expect<completion_event>(c).ticket, 50U);
    clients.command(c, unsubscribe_command{51, {"a"}, {}});
    EXPECT_EQ(clients.expect<suback_event>(c).ticket, 51U);
    EXPECT_EQ(broker.engine.status().subscriptions, 0U);
}

TEST(end_to_end, delivers_a_payload_of_10_mebibytes) {
    running_broker broker;
    test_clients clients;
    const client_handle sub = clients.connect(broker.port, "sub");
    clients.subscribe(sub, "big", qos::at_least_once);
    const client_handle pub = clients.connect(broker.port, "pub");
    std::string payload(10 * 1024 * 1024, '\0');
    for (std::size_t i = 0; i < payload.size(); ++i)
        payload[i] = static_cast<char>(i * 31 >> 3);
    clients.publish(pub, "big", payload, qos::at_least_once);
    std::set<client_handle> seen;
    while (seen.size() < 2 && !HasFailure()) {
        const client_event event = clients.next();
        seen.insert(event.client);
        if (const auto* got = std::get_if<message_event>(&event.what)) {
            EXPECT_TRUE(as_text(got->content->payload()) == payload);
        }
    }
}

TEST(end_to_end, keeps_what_is_published_while_a_client_is_away) {
    running_broker broker;
    test_clients clients;
    const client_handle sub = clients.connect(broker.port, "sub", false);
    clients.subscribe(sub, "t", qos::at_least_once);
    clients.command(sub, disconnect_command{60});
    clients.expect<completion_event>(sub);
    const client_handle pub = clients.connect(broker.port, "pub");
    for (int i = 0; i < 500; ++i) {
        clients.publish(pub, "t", std::to_string(i), qos::at_least_once);
        clients.expect<completion_event>(pub);
    }
    clients.reconnect(sub, broker.port, "sub", false);
    for (int i = 0; i < 500 && !HasFailure(); ++i)
        EXPECT_EQ(as_text(clients.expect<message_event>(sub).content->payload()),
                  std::to_string(i));
}

TEST(end_to_end, reports_a_connection_that_cannot_be_made) {
    std::uint16_t port = 0;
    {
        running_broker broker;  // frees its port
        port = broker.port;
    }
    test_clients clients;
    const client_handle c = clients.engine.open();
    connect_settings settings;
    settings.endpoint.host = "127.0.0.1";
    settings.endpoint.port = port;
    clients.command(c, connect_command{5, settings});
    const auto failed = clients.expect<failure_event>(c);
    EXPECT_EQ(failed.ticket, 5U);
    EXPECT_EQ(failed.error, ECONNREFUSED);
    clients.command(c, ping_command{6});
    EXPECT_EQ(clients.expect<failure_event>(c).ticket, 6U);
}

TEST(end_to_end, reports_a_refusal) {
    policy_settings policy = running_broker::admits_everyone();
    policy.allow_anonymous = false;
    running_broker broker({}, policy);
    test_clients clients;
    const client_handle c = clients.engine.open();
    connect_settings settings;
    settings.endpoint.host = "127.0.0.1";
    settings.endpoint.port = broker.port;
    settings.client_id = "c";
    clients.command(c, connect_command{5, settings});
    EXPECT_EQ(clients.expect<connack_event>(c).return_code, 5);
}

TEST(engine_life, stop_disconnects_clients) {
    running_broker broker;
    test_clients clients;
    std::set<client_handle> connected;
    for (int i = 0; i < 10; ++i)
        connected.insert(clients.connect(broker.port, "c" + std::to_string(i)));
    broker.engine.stop();
    while (!connected.empty() && !HasFailure()) {
        const client_event event = clients.next();
        EXPECT_TRUE(std::holds_alternative<connection_lost_event>(event.what));
        EXPECT_EQ(connected.erase(event.client), 1U);
    }
    broker.engine.stop();  // does nothing
    EXPECT_EQ(broker.engine.status().stats.clients_connected, 0U);
}

TEST(engine_life, starts_and_stops_many_times) {
    for (int i = 0; i < 30; ++i) {
        running_broker broker;
        test_clients clients;
        const client_handle c = clients.connect(broker.port, "c");
        clients.publish(c, "t", "p", qos::at_most_once);
        if (i % 3 == 0) broker.engine.stop();
        if (i % 3 == 1) clients.engine.stop();
    }
}

TEST(engine_life, ends_without_having_been_started) {
    broker_engine engine({}, {}, {});
    listen_on_loopback(engine);
    EXPECT_EQ(engine.status().sessions, 0U);
}

TEST(engine_life, refuses_what_comes_at_the_wrong_time) {
    running_broker broker;
    EXPECT_THROW(broker.engine.start(), std::logic_error);
    EXPECT_THROW(listen_on_loopback(broker.engine), std::logic_error);
    broker_engine other({}, {}, {});
    listener_settings taken;
    taken.host = "127.0.0.1";
    taken.port = broker.port;
    EXPECT_THROW(other.listen(taken), std::system_error);
}

TEST(engine_life, is_destroyed_with_much_under_way) {
    for (int round = 0; round < 5; ++round) {
        running_broker broker;
        test_clients clients;
        const client_handle sub = clients.connect(broker.port, "sub");
        clients.subscribe(sub, "#", qos::exactly_once);
        const client_handle pub = clients.connect(broker.port, "pub");
        const std::string payload(100'000, 'p');
        for (int i = 0; i < 50; ++i)
            clients.publish(pub, "t", payload, static_cast<qos>(i % 3));
        clients.next();  // some of it has happened
    }
}

TEST(engine_life, lets_two_brokers_live_side_by_side) {
    running_broker one;
    running_broker two;
    test_clients clients;
    const client_handle a = clients.connect(one.port, "same");
    const client_handle b = clients.connect(two.port, "same");
    clients.subscribe(a, "t", qos::at_most_once);
    clients.subscribe(b, "t", qos::at_most_once);
    one.publish(message::create("t", as_bytes("one"), qos::at_most_once, false));
    EXPECT_EQ(as_text(clients.expect<message_event>(a).content->payload()), "one");
    one.engine.stop();
    clients.expect<connection_lost_event>(a);
    two.publish(message::create("t", as_bytes("two"), qos::at_most_once, false));
    EXPECT_EQ(as_text(clients.expect<message_event>(b).content->payload()), "two");
}

TEST(threads, publish_on_one_broker_and_read_its_status) {
    running_broker broker;
    test_clients clients;
    const client_handle sub = clients.connect(broker.port, "sub");
    clients.subscribe(sub, "t/#", qos::at_least_once);
    constexpr int per_thread = 300;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&broker, t] {
            for (int i = 0; i < per_thread; ++i)
                broker.publish(
                    message::create("t/" + std::to_string(t), as_bytes(std::to_string(i)),
                                    qos::at_least_once, false),
                    qos::at_least_once);
        });
    }
    std::map<std::string, int> next;
    for (int i = 0; i < 3 * per_thread && !HasFailure(); ++i) {
        const auto got = clients.expect<message_event>(sub);
        EXPECT_EQ(as_text(got.content->payload()),
                  std::to_string(next[std::string(got.content->topic())]++));
        if (i % 100 == 0) {
            EXPECT_EQ(broker.engine.status().subscriptions, 1U);
        }
    }
    for (std::thread& each : threads)
        each.join();
}

TEST(threads, command_one_client_engine) {
    running_broker broker;
    test_clients clients;
    const client_handle c = clients.connect(broker.port, "c");
    clients.subscribe(c, "t", qos::at_most_once);
    constexpr int per_thread = 300;
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 3; ++t) {
        threads.emplace_back([&clients, c, t] {
            for (std::uint64_t i = 0; i < per_thread; ++i)
                clients.command(c,
                                client_publish_command{
                                    1000 + t * per_thread + i,
                                    message::create("t", as_bytes("p"), qos::exactly_once, false)});
        });
    }
    std::set<std::uint64_t> completed;
    int received = 0;
    while ((completed.size() < 3 * per_thread || received < 3 * per_thread) && !HasFailure()) {
        const client_event event = clients.next();
        if (const auto* done = std::get_if<completion_event>(&event.what)) {
            EXPECT_TRUE(completed.insert(done->ticket).second);
        } else {
            ++received;
        }
    }
    for (std::thread& each : threads)
        each.join();
}

// A client nobody takes events for stops reading; nothing is lost and others are served.
TEST(mailboxes, hold_back_a_client_whose_events_nobody_takes) {
    running_broker broker;
    test_clients lazy;
    test_clients quick;
    const client_handle slow = lazy.connect(broker.port, "slow");
    lazy.subscribe(slow, "t", qos::at_least_once);
    const client_handle pub = quick.connect(broker.port, "pub");
    const std::string payload(200'000, 'p');
    constexpr int count = 300;  // 60 MB: above half of what an engine holds for Python
    for (int i = 0; i < count; ++i) {
        quick.publish(pub, "t", std::to_string(i) + payload, qos::at_least_once);
        quick.expect<completion_event>(pub);
    }
    for (int i = 0; i < count && !HasFailure(); ++i) {
        const auto got = lazy.expect<message_event>(slow);
        EXPECT_TRUE(as_text(got.content->payload()).starts_with(std::to_string(i) + "p"));
    }
}

TEST(mailboxes, of_a_broker_keep_log_records_until_they_are_taken) {
    running_broker broker;
    const auto events_to_log = to_bit(hook::client_connected) | to_bit(hook::client_disconnected);
    broker.engine.execute(hooks_command{0, events_to_log});
    test_clients clients;
    for (int i = 0; i < 200; ++i) {
        const client_handle c = clients.connect(broker.port, "c");
        clients.command(c, disconnect_command{90});
        clients.expect<completion_event>(c);
        clients.command(c, forget_command{});
    }
    std::vector<broker_event> events;
    while (broker.engine.take_events(events, 10)) {
    }
    EXPECT_GE(events.size(), 200U);
    const auto& first = std::get<log_record>(events.front());
    EXPECT_EQ(first.text, "### 'on_broker_client_connected' EVENT FIRED ###");
}

// -- what plugins are told and asked

// The next event, which must be of this kind.
template <class Event>
Event next_event(running_broker& broker) {
    std::vector<broker_event> taken;
    while (taken.empty()) {
        broker.engine.take_events(taken, 1);
        if (taken.empty() && !wait_readable(broker.engine.event_fd())) break;
    }
    if (taken.empty() || !std::holds_alternative<Event>(taken[0])) {
        ADD_FAILURE() << "another event, or none";
        return Event{};
    }
    return std::get<Event>(std::move(taken[0]));
}

TEST(plugins, are_told_events_in_their_order) {
    running_broker broker;
    broker.engine.execute(
        hooks_command{to_bit(hook::client_connected) | to_bit(hook::message_received) |
                          to_bit(hook::client_disconnected) | to_bit(hook::session_ended),
                      0});
    test_clients clients;
    const client_handle c = clients.connect(broker.port, "c");
    clients.publish(c, "t", "p", qos::at_least_once);
    clients.expect<completion_event>(c);
    clients.command(c, disconnect_command{90});
    EXPECT_EQ(next_event<connected_event>(broker).who->client_id, "c");
    EXPECT_EQ(as_text(next_event<broker_message_event>(broker).content->payload()), "p");
    EXPECT_EQ(next_event<disconnected_event>(broker).reason, reason_code::success);
    EXPECT_EQ(next_event<session_ended_event>(broker).client_id, "c");
}

TEST(plugins, decide_on_clients_and_topics) {
    running_broker broker({}, {}, {.authenticate = true, .topics = true});
    test_clients clients;
    const client_handle c = clients.engine.open();
    connect_settings settings;
    settings.endpoint.host = "127.0.0.1";
    settings.endpoint.port = broker.port;
    settings.client_id = "c";
    settings.user_name = "u";
    clients.command(c, connect_command{5, settings});
    const auto asked = next_event<authenticate_event>(broker);
    EXPECT_EQ(asked.who->take()->user_name, "u");
    broker.engine.execute(
        authenticated_command{asked.ticket, true, reason_code::not_authorized, {}, "other"});
    EXPECT_EQ(clients.expect<connack_event>(c).return_code, 0);
    EXPECT_EQ(broker.engine.find_session("c")->user_name, "other");
    for (const bool remembered : {false, true}) {
        clients.publish(c, "t", "p", qos::at_least_once);
        if (!remembered) {
            const auto topic = next_event<topic_event>(broker);
            EXPECT_EQ(topic.topic, "t");
            broker.engine.execute(topic_decided_command{
                topic.ticket, true, reason_code::not_authorized, {}, std::chrono::hours(1)});
        }
        clients.expect<completion_event>(c);
    }
}

}  // namespace
}  // namespace amqtt::test
