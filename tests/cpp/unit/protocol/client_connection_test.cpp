#include "protocol/client_connection.hpp"

#include <gtest/gtest.h>

#include "support/wire.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

message_ptr make(std::string_view topic, std::string_view payload, unsigned level,
                 bool retain = false) {
    return message::create(topic, as_bytes(payload), static_cast<qos>(level), retain);
}

class client_connection_test : public testing::Test {
  protected:
    // A new network connection of the same client, up to CONNACK.
    void connect_again(bool session_present = false, client_options timing = {}) {
        open(timing);
        EXPECT_EQ(answer(connack(session_present)).index(), 1U);
    }
    void open(client_options timing = {}) {
        connection_.emplace(state_, pool_, timing);
        connect_packet packet;
        packet.client_id = "c";
        packet.clean_start = false;
        EXPECT_TRUE(connection_->connect(packet, now_));
        EXPECT_EQ(sent(), connect({.client_id = "c", .clean = false}));
    }

    bytes sent() { return take_all(connection_->output()); }

    result<std::uint16_t> subscribe_to(
        std::uint64_t ticket, const std::vector<std::pair<std::string_view, unsigned>>& filters) {
        subscribe_packet packet;
        for (const auto& [filter, level] : filters) {
            subscription_options options;
            options.level = static_cast<qos>(level);
            packet.requests.push_back({filter, options});
        }
        return connection_->subscribe(ticket, packet, now_);
    }

    // What the client makes of data from the server; data stays valid.
    client_action answer(bytes data) {
        input_ = std::move(data);
        connection_->receive(input_);
        return connection_->next(now_);
    }
    void expect_silent(bytes data) {
        EXPECT_TRUE(std::holds_alternative<client_need_input>(answer(std::move(data))));
    }
    void expect_completed(const client_action& action, std::uint64_t ticket) {
        ASSERT_TRUE(std::holds_alternative<client_completed>(action)) << action.index();
        EXPECT_EQ(std::get<client_completed>(action).ticket, ticket);
    }
    void expect_violation(bytes data, reason_code code) {
        const client_action action = answer(std::move(data));
        ASSERT_TRUE(std::holds_alternative<protocol_violation>(action)) << action.index();
        EXPECT_EQ(std::get<protocol_violation>(action).code, code);
    }
    void publish_message(std::uint64_t ticket, std::string_view payload, unsigned level) {
        const auto done = connection_->publish(ticket, make("t", payload, level), now_);
        ASSERT_TRUE(done);
        EXPECT_EQ(*done, level == 0);
    }

    instant now_ = 100s;
    bytes input_;
    block_pool pool_;
    client_state state_;
    std::optional<client_connection> connection_;
};

TEST_F(client_connection_test, sends_connect_with_everything_in_it) {
    connection_.emplace(state_, pool_, client_options{});
    connect_packet packet;
    packet.client_id = "c";
    packet.clean_start = false;
    packet.keep_alive = 60;
    packet.user_name = "u";
    packet.password = as_bytes("p");
    packet.will.emplace();
    packet.will->topic = "w";
    packet.will->payload = as_bytes("gone");
    packet.will->level = qos::at_least_once;
    packet.will->retain = true;
    EXPECT_TRUE(connection_->connect(packet, now_));
    EXPECT_EQ(sent(), connect({.client_id = "c",
                               .clean = false,
                               .keep_alive = 60,
                               .will = {{"w", "gone", 1, true}},
                               .user_name = "u",
                               .password = "p"}));
}

TEST_F(client_connection_test, reports_connack) {
    open();
    EXPECT_FALSE(connection_->is_connected());
    const client_action accepted = answer(connack(true));
    EXPECT_EQ(std::get<client_connack>(accepted).return_code, 0);
    EXPECT_TRUE(std::get<client_connack>(accepted).session_present);
    EXPECT_TRUE(connection_->is_connected());
}

TEST_F(client_connection_test, reports_a_refusal_with_its_code) {
    for (unsigned code = 1; code <= 5; ++code) {
        open();
        const client_action refused = answer(connack(false, code));
        EXPECT_EQ(std::get<client_connack>(refused).return_code, code);
        EXPECT_FALSE(connection_->is_connected());
    }
}

TEST_F(client_connection_test, wants_connack_first) {
    open();
    expect_violation(pingresp(), reason_code::protocol_error);
    open();
    expect_violation(wire("20 02 02 00"), reason_code::malformed_packet);
    open();
    expect_violation(wire("20 03 00 00 00"), reason_code::malformed_packet);
}

TEST_F(client_connection_test, publishes_qos_0) {
    connect_again();
    publish_message(1, "p", 0);
    EXPECT_EQ(sent(), publish({.topic = "t", .payload = "p"}));
    EXPECT_TRUE(state_.inflight.empty());
}

// 3.1.1:MQTT-4.3.2-1@client
TEST_F(client_connection_test, publishes_qos_1) {
    connect_again();
    publish_message(11, "p", 1);
    EXPECT_EQ(sent(), publish({.topic = "t", .payload = "p", .level = 1, .packet_id = 1}));
    expect_silent(puback(2));   // nobody's
    expect_silent(pubcomp(1));  // not the answer to QoS 1
    expect_silent(pubrec(1));
    EXPECT_EQ(sent(), bytes{});
    expect_completed(answer(puback(1)), 11);
    EXPECT_TRUE(state_.inflight.empty());
    expect_silent(puback(1));
}

// 3.1.1:MQTT-4.3.3-1@client
TEST_F(client_connection_test, publishes_qos_2) {
    connect_again();
    publish_message(12, "p", 2);
    EXPECT_EQ(sent(), publish({.topic = "t", .payload = "p", .level = 2, .packet_id = 1}));
    expect_silent(pubcomp(1));  // too early
    expect_silent(puback(1));
    expect_silent(pubrec(1));
    EXPECT_EQ(sent(), pubrel(1));
    expect_silent(pubrec(1));  // again
    EXPECT_EQ(sent(), pubrel(1));
    expect_completed(answer(pubcomp(1)), 12);
    EXPECT_TRUE(state_.inflight.empty());
}

TEST_F(client_connection_test, releases_an_identifier_it_does_not_know) {
    connect_again();
    expect_silent(pubrec(77));
    EXPECT_EQ(sent(), pubrel(77));
}

// 3.1.1:MQTT-2.3.1-2@client 3.1.1:MQTT-2.3.1-4@client
TEST_F(client_connection_test, never_uses_an_identifier_twice_at_a_time) {
    connect_again();
    publish_message(1, "p", 1);
    EXPECT_EQ(*subscribe_to(2, {{"f", 0}}), 2);
    publish_message(3, "p", 2);
    sent();
    // Once around: 1 and 2 and 3 are still in use.
    for (std::uint64_t ticket = 4; ticket <= 65'535; ++ticket) {
        publish_message(ticket, "", 1);
        if (ticket % 1000 == 0) sent();
    }
    EXPECT_FALSE(connection_->publish(99'999, make("t", "", 1), now_));
    EXPECT_FALSE(subscribe_to(99'999, {{"f", 0}}));
    EXPECT_TRUE(connection_->publish(99'999, make("t", "", 0), now_));
    sent();
    expect_completed(answer(puback(40'000)), 40'000);
    publish_message(100'000, "", 1);
    EXPECT_EQ(sent(), publish({.topic = "t", .level = 1, .packet_id = 40'000}));
}

TEST_F(client_connection_test, receives_qos_0_1_and_2) {
    connect_again();
    const client_action zero = answer(publish({.topic = "a", .payload = "0"}));
    EXPECT_EQ(as_text(std::get<publish_packet>(zero).payload), "0");
    EXPECT_EQ(sent(), bytes{});
    const client_action one =
        answer(publish({.topic = "a", .payload = "1", .level = 1, .packet_id = 5}));
    EXPECT_EQ(as_text(std::get<publish_packet>(one).payload), "1");
    EXPECT_EQ(sent(), puback(5));
    const client_action two =
        answer(publish({.topic = "a", .payload = "2", .level = 2, .packet_id = 5}));
    EXPECT_EQ(as_text(std::get<publish_packet>(two).payload), "2");
    EXPECT_EQ(sent(), pubrec(5));
}

// 3.1.1:MQTT-4.3.3-2@client
TEST_F(client_connection_test, receives_qos_2_once) {
    connect_again();
    const bytes message = publish({.topic = "a", .level = 2, .packet_id = 5});
    const bytes repeated = publish({.topic = "a", .level = 2, .packet_id = 5, .dup = true});
    EXPECT_TRUE(std::holds_alternative<publish_packet>(answer(message)));
    expect_silent(repeated);
    EXPECT_EQ(sent(), pubrec(5) + pubrec(5));
    connect_again(true);
    expect_silent(repeated);
    expect_silent(pubrel(5));
    EXPECT_EQ(sent(), pubrec(5) + pubcomp(5));
    EXPECT_TRUE(std::holds_alternative<publish_packet>(answer(message)));
    expect_silent(pubrel(6));  // unknown, answered all the same
    EXPECT_EQ(sent(), pubrec(5) + pubcomp(6));
    connect_again(false);  // another session
    EXPECT_TRUE(std::holds_alternative<publish_packet>(answer(message)));
}

// 3.1.1:MQTT-4.4.0-1@client 3.1.1:MQTT-3.3.1-1@client 3.1.1:MQTT-4.6.0-1@client
TEST_F(client_connection_test, resumes_with_the_session_of_the_server) {
    connect_again();
    publish_message(1, "one", 1);
    publish_message(2, "two", 2);
    publish_message(3, "three", 2);
    sent();
    expect_silent(pubrec(2));
    sent();
    open();
    EXPECT_TRUE(std::holds_alternative<client_connack>(answer(connack(true))));
    EXPECT_EQ(
        sent(),
        publish({.topic = "t", .payload = "one", .level = 1, .packet_id = 1, .dup = true}) +
            pubrel(2) +
            publish({.topic = "t", .payload = "three", .level = 2, .packet_id = 3, .dup = true}));
    expect_completed(answer(pubcomp(2)), 2);
    expect_completed(answer(puback(1)), 1);
}

TEST_F(client_connection_test, publishes_afresh_without_a_session_of_the_server) {
    connect_again();
    publish_message(1, "one", 1);
    publish_message(2, "two", 2);
    sent();
    expect_silent(pubrec(2));
    sent();
    open();
    EXPECT_TRUE(std::holds_alternative<client_connack>(answer(connack(false))));
    EXPECT_EQ(sent(), publish({.topic = "t", .payload = "one", .level = 1, .packet_id = 1}));
    expect_completed(connection_->next(now_), 2);  // the server had it
    EXPECT_TRUE(std::holds_alternative<client_need_input>(connection_->next(now_)));
    EXPECT_EQ(state_.inflight.size(), 1U);
}

TEST_F(client_connection_test, subscribes_and_unsubscribes) {
    connect_again();
    EXPECT_EQ(*subscribe_to(21, {{"a/#", 1}, {"b", 2}}), 1);
    EXPECT_EQ(sent(), subscribe(1, {{"a/#", 1}, {"b", 2}}));
    unsubscribe_packet names;
    names.filters = {"a/#", "b"};
    EXPECT_EQ(*connection_->unsubscribe(22, names, now_), 2);
    EXPECT_EQ(sent(), unsubscribe(2, {"a/#", "b"}));
    expect_silent(suback(9, {0}));
    const client_action granted = answer(suback(1, {1, 0x80}));
    ASSERT_TRUE(std::holds_alternative<client_subscribed>(granted));
    EXPECT_EQ(std::get<client_subscribed>(granted).ticket, 21U);
    EXPECT_EQ(std::get<client_subscribed>(granted).codes,
              (std::vector{reason_code::granted_qos_1, reason_code::unspecified_error}));
    const client_action ended = answer(unsuback(2));
    ASSERT_TRUE(std::holds_alternative<client_subscribed>(ended));
    EXPECT_EQ(std::get<client_subscribed>(ended).ticket, 22U);
    EXPECT_TRUE(state_.requests.empty());
}

TEST_F(client_connection_test, pings_for_its_caller) {
    connect_again();
    connection_->ping(31, now_);
    connection_->ping(32, now_);
    EXPECT_EQ(sent(), pingreq() + pingreq());
    expect_completed(answer(pingresp() + pingresp()), 31);
    expect_completed(connection_->next(now_), 32);
    expect_silent(pingresp());  // nobody asked
}

// 3.1.1:MQTT-3.1.2-23@client
TEST_F(client_connection_test, pings_when_it_has_sent_nothing_for_long) {
    connect_again(false, {10s, 5s, false});
    now_ += 9s;
    EXPECT_TRUE(connection_->advance(now_));
    EXPECT_EQ(sent(), bytes{});
    publish_message(1, "p", 0);
    sent();
    now_ += 9s;
    EXPECT_TRUE(connection_->advance(now_));
    EXPECT_EQ(sent(), bytes{});
    now_ += 1s;
    EXPECT_TRUE(connection_->advance(now_));
    EXPECT_TRUE(connection_->advance(now_));
    EXPECT_EQ(sent(), pingreq());
    connection_->ping(33, now_);
    expect_silent(pingresp());  // its own comes first
    expect_completed(answer(pingresp()), 33);
}

TEST_F(client_connection_test, notices_that_pings_are_not_answered) {
    connect_again(false, {10s, 5s, false});
    now_ += 10s;
    EXPECT_TRUE(connection_->advance(now_));
    now_ += 5s;
    EXPECT_TRUE(connection_->advance(now_));
    now_ += 50ms;
    EXPECT_FALSE(connection_->advance(now_));
    connect_again(false, {10s, 5s, false});
    connection_->ping(34, now_);
    expect_completed(answer(pingresp()), 34);
    now_ += 9s;
    EXPECT_TRUE(connection_->advance(now_));
    EXPECT_TRUE(connection_->pings().empty());
}

TEST_F(client_connection_test, does_not_ping_before_connack_or_when_told_not_to) {
    open({10s, 5s, false});
    now_ += 100s;
    EXPECT_TRUE(connection_->advance(now_));
    EXPECT_EQ(sent(), bytes{});
    connect_again(false, {0s, 5s, false});
    now_ += 1000s;
    EXPECT_TRUE(connection_->advance(now_));
    EXPECT_EQ(sent(), bytes{});
}

TEST_F(client_connection_test, says_goodbye) {
    connect_again();
    connection_->disconnect();
    EXPECT_EQ(sent(), disconnect());
}

TEST_F(client_connection_test, refuses_what_a_server_must_not_send) {
    const std::pair<bytes, reason_code> all[] = {
        {wire("00 00"), reason_code::protocol_error},
        {connect({.client_id = "c"}), reason_code::protocol_error},
        {connack(), reason_code::protocol_error},
        {subscribe(1, {{"f", 0}}), reason_code::protocol_error},
        {unsubscribe(1, {"f"}), reason_code::protocol_error},
        {pingreq(), reason_code::protocol_error},
        {wire("d0 01 00"), reason_code::malformed_packet},
        {wire("d1 00"), reason_code::malformed_packet},
        {wire("60 02 00 01"), reason_code::malformed_packet},
        {wire("36 05 00 01 't' 00 01"), reason_code::malformed_packet},
        {wire("30 03 00 01 '#'"), reason_code::topic_name_invalid},
        {wire("30 05 00 03 'a' ff 'b'"), reason_code::malformed_packet},
        {wire("32 05 00 01 't' 00 00"), reason_code::protocol_error},
        {wire("90 02 00 01"), reason_code::malformed_packet},
        {wire("b0 03 00 01 00"), reason_code::malformed_packet},
        {wire("40 03 00 01 00"), reason_code::malformed_packet},
        {wire("30 80 80 80 80 01"), reason_code::malformed_packet},
    };
    for (const auto& [data, code] : all) {
        SCOPED_TRACE(shown(data));
        connect_again();
        expect_violation(data, code);
    }
}

TEST_F(client_connection_test, reads_a_stream_in_single_bytes) {
    connect_again();
    publish_message(1, "p", 1);
    sent();
    const bytes stream = publish({.topic = "a", .payload = "x", .level = 1, .packet_id = 2}) +
                         puback(1) + pingresp();
    std::vector<std::size_t> actions;
    for (const std::uint8_t byte : stream) {
        client_action action = answer({byte});
        for (; !std::holds_alternative<client_need_input>(action); action = connection_->next(now_))
            actions.push_back(action.index());
    }
    EXPECT_EQ(actions, (std::vector<std::size_t>{5, 2}));  // publish_packet, client_completed
    EXPECT_EQ(sent(), puback(2));
}

}  // namespace
}  // namespace amqtt::test
