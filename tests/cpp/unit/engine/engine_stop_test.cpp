// The end of a broker's engine: beside calls of other threads, and with clients that have messages
// to come.
#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/raw_client.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

std::vector<std::unique_ptr<raw_client>> connect_many(std::uint16_t port, std::size_t count) {
    std::vector<std::unique_ptr<raw_client>> all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back(std::make_unique<raw_client>(port, "c" + std::to_string(i)));
    return all;
}

// Threads that ask the engine all the time, until they are destroyed.
class asking_threads {
  public:
    explicit asking_threads(broker_engine& engine) {
        ask([&engine] { return engine.session_count() < 100'000; });
        ask([&engine] {
            const auto found = engine.find_session("c7");
            return !found || found->client_id == "c7";
        });
        ask([&engine] { return engine.status().retained == 0; });
    }
    ~asking_threads() {
        stop_ = true;
        for (std::thread& each : threads_)
            each.join();
    }
    asking_threads(const asking_threads&) = delete;
    asking_threads& operator=(const asking_threads&) = delete;

    // Waits until each thread has asked so many times more.
    void wait_for_answers(std::uint64_t count) const {
        const std::uint64_t wanted = answers_ + count * threads_.size();
        while (answers_ < wanted)
            std::this_thread::yield();
    }

  private:
    template <class F>
    void ask(F f) {
        threads_.emplace_back([this, f] {
            while (!stop_) {
                EXPECT_TRUE(f());
                ++answers_;
            }
        });
    }

    std::atomic<bool> stop_ = false;
    std::atomic<std::uint64_t> answers_ = 0;
    std::vector<std::thread> threads_;
};

TEST(engine_stop, answers_other_threads_before_meanwhile_and_afterwards) {
    running_broker broker;
    const auto clients = connect_many(broker.port, 200);
    asking_threads asking(broker.engine);
    asking.wait_for_answers(2);
    broker.engine.stop(1s);
    asking.wait_for_answers(2);
    EXPECT_EQ(broker.engine.session_count(), 0U);
}

TEST(engine_stop, answers_while_it_waits_for_clients) {
    broker_settings settings;
    settings.max_inflight_messages = 1;
    running_broker broker(settings);
    raw_client slow(broker.port, "slow");
    slow.subscribe_to("t", 1);
    for (int i = 0; i < 2; ++i)
        broker.publish(message::create("t", as_bytes("x"), qos::at_least_once, false));
    const bytes first = publish({.topic = "t", .payload = "x", .level = 1, .packet_id = 1});
    EXPECT_EQ(slow.receive(first.size()), first);
    std::thread stopping([&] { broker.engine.stop(60s); });
    // Its second message waits for an acknowledgement of the first.
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(broker.engine.session_count(), 1U);
    slow.send(puback(1));
    slow.send(puback(2));
    stopping.join();
    EXPECT_EQ(slow.receive_until_end(),
              publish({.topic = "t", .payload = "x", .level = 1, .packet_id = 2}));
}

TEST(engine_stop, the_second_waits_for_the_first) {
    running_broker broker;
    const auto clients = connect_many(broker.port, 20);
    std::vector<std::future<std::size_t>> counts;
    for (int i = 0; i < 4; ++i) {
        counts.push_back(std::async(std::launch::async, [&] {
            broker.engine.stop(1s);
            return broker.engine.session_count();
        }));
    }
    for (auto& each : counts)
        EXPECT_EQ(each.get(), 0U);
}

TEST(engine_stop, sends_all_that_is_queued) {
    constexpr unsigned count = 40;
    broker_settings settings;
    settings.max_inflight_messages = 3;
    running_broker broker(settings);
    raw_client subscriber(broker.port, "s");
    subscriber.subscribe_to("t", 1);
    for (unsigned i = 0; i < count; ++i)
        broker.publish(message::create("t", as_bytes(numbered(i, 8)), qos::at_least_once, false));
    EXPECT_EQ(broker.engine.session_count(), 1U);  // behind those
    std::thread stopping([&] { broker.engine.stop(60s); });
    for (unsigned i = 0; i < count; ++i) {
        const bytes expected =
            publish({.topic = "t", .payload = numbered(i, 8), .level = 1, .packet_id = i + 1});
        ASSERT_EQ(subscriber.receive(expected.size()), expected);
        subscriber.send(puback(i + 1));
    }
    EXPECT_EQ(subscriber.receive_until_end(), bytes{});
    stopping.join();
}

TEST(engine_stop, does_not_wait_longer_than_it_may) {
    broker_settings settings;
    settings.max_inflight_messages = 1;
    running_broker broker(settings);
    raw_client silent(broker.port, "silent");
    silent.subscribe_to("t", 1);
    for (int i = 0; i < 2; ++i)
        broker.publish(message::create("t", as_bytes("x"), qos::at_least_once, false));
    EXPECT_EQ(broker.engine.session_count(), 1U);
    broker.engine.stop(100ms);
    EXPECT_EQ(silent.receive_until_end(),
              publish({.topic = "t", .payload = "x", .level = 1, .packet_id = 1}));
}

TEST(engine_stop, every_will_reaches_every_subscriber) {
    constexpr std::size_t count = 20;
    for (const bool waits : {false, true}) {
        running_broker broker;
        raw_client first(broker.port, "first");  // ended before the others, if in order
        first.subscribe_to("wills/#");
        std::vector<std::unique_ptr<raw_client>> dying;
        for (std::size_t i = 0; i < count; ++i) {
            connect_spec who{.client_id = "d" + std::to_string(i)};
            who.will = {{"wills/" + std::to_string(i), "gone"}};
            dying.push_back(std::make_unique<raw_client>(broker.port));
            dying.back()->send(connect(who));
            ASSERT_EQ(dying.back()->receive(4), connack());
        }
        raw_client last(broker.port, "last");
        last.subscribe_to("wills/#");
        broker.engine.stop(waits ? 60s : 0s);
        for (const raw_client* each : {&first, &last})
            EXPECT_EQ(split_packets(each->receive_until_end()).size(), count);
    }
}

TEST(engine_stop, tells_a_client_of_mqtt_5_why) {
    running_broker broker;
    raw_client client(broker.port);
    client.send(connect({.client_id = "c", .version = 5}));
    EXPECT_EQ(client.receive(2).at(0), 0x20);
    broker.engine.stop(60s);
    const bytes rest = client.receive_until_end();
    const bytes told = wire("e0 01 8b");
    ASSERT_GE(rest.size(), told.size());
    EXPECT_TRUE(std::equal(told.begin(), told.end(), rest.end() - 3)) << shown(rest);
}

}  // namespace
}  // namespace amqtt::test
