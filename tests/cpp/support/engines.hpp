// Engines under test: a broker on a port of its own, and clients that wait for events by poll().
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/broker_engine.hpp"
#include "engine/client_engine.hpp"

namespace amqtt::test {

// How long anything may take before the test fails.
inline constexpr std::chrono::seconds patience{60};

// Waits until fd is readable; false when that took too long.
inline bool wait_readable(int fd) {
    pollfd wanted{fd, POLLIN, 0};
    return ::poll(&wanted, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) == 1;
}

inline std::uint16_t listen_on_loopback(broker_engine& engine, std::string name = "default") {
    listener_settings settings;
    settings.name = std::move(name);
    settings.host = "127.0.0.1";
    settings.port = 0;
    return engine.listen(settings).front().port;
}

// How many threads brokers have here that are not about threads.
inline std::size_t threads_of_tests() {
    const char* const wanted = std::getenv("AMQTT_TEST_THREADS");
    return wanted != nullptr ? std::stoul(wanted) : 1;
}

// A started broker.
class running_broker {
  public:
    explicit running_broker(const broker_settings& settings = {},
                            policy_settings policy = admits_everyone(),
                            python_decisions python = {}, std::size_t threads = threads_of_tests())
        : engine(settings, std::move(policy), std::move(python), threads),
          port(listen_on_loopback(engine)) {
        engine.start();
    }

    static policy_settings admits_everyone() {
        policy_settings settings;
        settings.authenticate_anonymous = true;
        return settings;
    }

    // Publishes a message of the broker's own.
    void publish(message_ptr content, std::optional<qos> level = {}) {
        engine.execute(publish_command{std::move(content), level});
    }

    broker_engine engine;
    std::uint16_t port;
};

// A client engine whose events one thread takes.
class test_clients {
  public:
    // The next event of any client.
    client_event next() {
        while (waiting_.empty()) {
            std::vector<client_event> taken;
            if (engine.take_events(taken, 1000) || !taken.empty()) {
                waiting_.insert(waiting_.end(), taken.begin(), taken.end());
            } else if (!wait_readable(engine.event_fd())) {
                ADD_FAILURE() << "no event came";
                return {};
            }
        }
        client_event first = std::move(waiting_.front());
        waiting_.pop_front();
        return first;
    }

    // The next event, which must be a What of that client.
    template <class What>
    What expect(client_handle client) {
        client_event event = next();
        EXPECT_EQ(event.client, client);
        if (auto* what = std::get_if<What>(&event.what)) return std::move(*what);
        ADD_FAILURE() << "another event, number " << event.what.index();
        return What{};
    }

    void command(client_handle client, decltype(client_command::what) what) {
        engine.send({client, std::move(what)});
    }

    client_handle connect(std::uint16_t port, std::string client_id, bool clean = true) {
        const client_handle client = engine.open();
        reconnect(client, port, std::move(client_id), clean);
        return client;
    }
    void reconnect(client_handle client, std::uint16_t port, std::string client_id,
                   bool clean = true) {
        connect_settings settings;
        settings.endpoint.host = "127.0.0.1";
        settings.endpoint.port = port;
        settings.client_id = std::move(client_id);
        settings.clean_session = clean;
        command(client, connect_command{++ticket, settings});
        const auto answer = expect<connack_event>(client);
        EXPECT_EQ(answer.ticket, ticket);
        EXPECT_EQ(answer.return_code, 0);
    }
    void subscribe(client_handle client, std::string filter, qos level) {
        subscription_options options;
        options.level = level;
        command(client, subscribe_command{++ticket, {{std::move(filter), options}}, {}});
        const auto answer = expect<suback_event>(client);
        EXPECT_EQ(answer.ticket, ticket);
        EXPECT_EQ(answer.codes, std::vector{static_cast<reason_code>(to_byte(level))});
    }
    std::uint64_t publish(client_handle client, std::string_view topic, std::string_view payload,
                          qos level) {
        command(client, client_publish_command{
                            ++ticket, message::create(topic, as_bytes(payload), level, false)});
        return ticket;
    }

    client_engine engine;
    std::uint64_t ticket = 0;

  private:
    std::deque<client_event> waiting_;
};

}  // namespace amqtt::test
