// What MQTT 5.0 adds to the client's side of a connection.
#include <memory>

#include <gtest/gtest.h>

#include "protocol/client_connection.hpp"
#include "support/wire.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

message_ptr make(std::string_view topic, std::string_view payload, unsigned level,
                 bool retain = false) {
    return message::create(topic, as_bytes(payload), static_cast<qos>(level), retain);
}

class client_connection_v5_test : public testing::Test {
  protected:
    // Up to CONNECT, with properties of the client.
    void open(const properties& own = {}, bool clean = false, client_options options = {}) {
        connection_.emplace(state_, pool_, options);
        connect_packet packet;
        packet.version = protocol_version::v5_0;
        packet.client_id = "c";
        packet.clean_start = clean;
        packet.keep_alive = 60;
        packet.props = own;
        EXPECT_TRUE(connection_->connect(packet, now_));
        sent();
    }
    // Up to CONNACK, with the properties of the server in wire notation.
    void open_to(std::string_view of_server, bool session_present = false,
                 const properties& own = {}, client_options options = {}) {
        open(own, false, options);
        const bytes props = wire(of_server);
        const bytes flags{static_cast<std::uint8_t>(session_present ? 1 : 0), 0,
                          static_cast<std::uint8_t>(props.size())};
        const client_action action = answer(packet(0x20, flags + props));
        ASSERT_TRUE(std::holds_alternative<client_connack>(action)) << action.index();
    }

    bytes sent() { return take_all(connection_->output()); }
    std::size_t packets_sent() { return split_packets(sent()).size(); }

    client_action answer(bytes data) {
        input_ = std::move(data);
        connection_->receive(input_);
        return connection_->next(now_);
    }
    void expect_silent(bytes data) {
        EXPECT_TRUE(std::holds_alternative<client_need_input>(answer(std::move(data))));
    }
    void expect_violation(bytes data, reason_code code) {
        const client_action action = answer(std::move(data));
        ASSERT_TRUE(std::holds_alternative<protocol_violation>(action)) << action.index();
        EXPECT_EQ(std::get<protocol_violation>(action).code, code);
    }
    void expect_completed(const client_action& action, std::uint64_t ticket,
                          reason_code code = reason_code::success) {
        ASSERT_TRUE(std::holds_alternative<client_completed>(action)) << action.index();
        EXPECT_EQ(std::get<client_completed>(action).ticket, ticket);
        EXPECT_EQ(std::get<client_completed>(action).code, code);
    }
    result<bool> publish_message(std::uint64_t ticket, unsigned level, std::string_view topic = "t",
                                 std::string_view payload = "", bool retain = false) {
        return connection_->publish(ticket, make(topic, payload, level, retain), now_);
    }

    instant now_ = 100s;
    bytes input_;
    block_pool pool_;
    client_state state_;
    std::optional<client_connection> connection_;
};

// -- the beginning

// 5.0:MQTT-3.2.2-4@client
TEST_F(client_connection_v5_test, has_no_session_to_resume_after_a_clean_start) {
    open({}, true);
    expect_violation(wire("20 03 01 00 00"), reason_code::protocol_error);
}

TEST_F(client_connection_v5_test, reports_a_refusal_with_its_properties) {
    open();
    const client_action action = answer(wire("20 0b 00 9d 08 1c 00 05 'there'"));
    const auto& refused = std::get<client_connack>(action);
    EXPECT_EQ(refused.return_code, 0x9D);
    EXPECT_EQ(refused.props.text(property_id::server_reference), "there");
    EXPECT_FALSE(connection_->is_connected());
}

// 5.0:MQTT-3.1.2-21@client 5.0:MQTT-3.2.2-21@client 5.0:MQTT-3.1.2-20@client
TEST_F(client_connection_v5_test, keeps_alive_as_the_server_says) {
    client_options options;
    options.ping_after = 50s;  // of 60
    open_to("13 00 20", false, {}, options);
    now_ += 21s;
    EXPECT_TRUE(connection_->advance(now_));
    EXPECT_EQ(sent(), bytes{});
    now_ += 1s;  // 10 seconds before the 32 are over
    EXPECT_TRUE(connection_->advance(now_));
    EXPECT_EQ(sent(), pingreq());
    open_to("13 00 00", false, {}, options);
    now_ += 1000s;
    EXPECT_TRUE(connection_->advance(now_));
    EXPECT_EQ(sent(), bytes{});
}

TEST_F(client_connection_v5_test, keeps_alive_while_it_does_not_read) {
    client_options options;
    options.ping_after = 50s;
    open_to("", false, {}, options);
    for (int i = 0; i < 3; ++i) {
        now_ += 50s;
        EXPECT_TRUE(connection_->advance(now_, false));
        EXPECT_EQ(sent(), pingreq());
    }
    EXPECT_TRUE(connection_->advance(now_ + 10s));
    expect_silent(pingresp() + pingresp() + pingresp());
}

// -- what the server bears

// 5.0:MQTT-3.3.4-7@client 5.0:MQTT-3.3.4-8@client 5.0:MQTT-4.9.0-1@client 5.0:MQTT-4.9.0-2@client
// 5.0:MQTT-4.9.0-3@client
TEST_F(client_connection_v5_test, keeps_to_the_receive_maximum) {
    open_to("21 00 02");
    for (std::uint64_t ticket = 1; ticket <= 5; ++ticket)
        EXPECT_FALSE(*publish_message(ticket, 1 + ticket % 2));
    EXPECT_EQ(packets_sent(), 2U);
    EXPECT_TRUE(*publish_message(0, 0));  // QoS 0 does not wait, nor does anything else
    connection_->ping(9, now_);
    EXPECT_EQ(packets_sent(), 2U);
    // The first has QoS 2: only PUBCOMP makes room.
    expect_silent(pubrec(1));
    EXPECT_EQ(sent(), pubrel(1));
    expect_completed(answer(pubcomp(1)), 1);
    EXPECT_EQ(packets_sent(), 1U);
    expect_completed(answer(puback(2)), 2);
    EXPECT_EQ(packets_sent(), 1U);
    // A PUBREC that refuses does, too.
    expect_completed(answer(wire("50 03 00 03 97")), 3, reason_code::quota_exceeded);
    EXPECT_EQ(packets_sent(), 1U);
    expect_completed(answer(puback(4)), 4);
    EXPECT_EQ(packets_sent(), 0U);
}

// 5.0:MQTT-4.4.0-1@client 5.0:MQTT-4.6.0-1@client 5.0:MQTT-4.6.0-4@client
TEST_F(client_connection_v5_test, resumes_within_the_receive_maximum) {
    open_to("");
    for (std::uint64_t ticket = 1; ticket <= 4; ++ticket)
        (void)publish_message(ticket, 2);
    sent();
    expect_silent(pubrec(4));
    sent();
    open_to("21 00 02", true);
    const auto resent = split_packets(sent());
    ASSERT_EQ(resent.size(), 3U);
    EXPECT_EQ(resent[0][0], 0x3C);  // DUP, QoS 2
    EXPECT_EQ(resent[1][0], 0x3C);
    EXPECT_EQ(resent[2], pubrel(4));  // does not wait
    expect_silent(pubrec(1));
    expect_completed(answer(pubcomp(1)), 1);
    expect_completed(answer(pubcomp(4)), 4);
    const auto later = split_packets(sent());
    ASSERT_EQ(later.size(), 2U);
    EXPECT_EQ(later[1][0], 0x3C);
    EXPECT_EQ(later[1][6], 3);  // the third, after the PUBREL of the first
}

TEST_F(client_connection_v5_test, sends_no_more_than_the_less_of_two_maxima) {
    client_options options;
    options.send_maximum = 3;
    for (const auto& [server, most] : {std::pair{"21 00 02", 2U}, {"21 00 05", 3U}, {"", 3U}}) {
        open_to(server, false, {}, options);
        for (std::uint64_t ticket = 1; ticket <= 4; ++ticket)
            (void)publish_message(ticket, 1);
        EXPECT_EQ(packets_sent(), most) << server;
        std::destroy_at(&state_);
        std::construct_at(&state_);
    }
}

TEST_F(client_connection_v5_test, sends_no_more_of_qos_2_than_its_maximum) {
    client_options options;
    options.qos2_maximum = 2;
    open_to("", false, {}, options);
    for (std::uint64_t ticket = 1; ticket <= 2; ++ticket)
        (void)publish_message(ticket, 2);
    (void)publish_message(3, 1);
    EXPECT_EQ(packets_sent(), 3U);
    (void)publish_message(4, 2);
    (void)publish_message(5, 1);  // behind it, for the order
    EXPECT_EQ(packets_sent(), 0U);
    expect_completed(answer(puback(3)), 3);
    EXPECT_EQ(packets_sent(), 0U);
    expect_silent(pubrec(1));
    EXPECT_EQ(sent(), pubrel(1));
    expect_completed(answer(pubcomp(1)), 1);
    EXPECT_EQ(packets_sent(), 2U);
    (void)publish_message(6, 2);
    (void)publish_message(7, 1);
    // And the same when they are sent again.
    open_to("", true, {}, options);
    EXPECT_EQ(packets_sent(), 3U);
    expect_completed(answer(wire("50 03 00 02 80")), 2, reason_code::unspecified_error);
    EXPECT_EQ(packets_sent(), 2U);
}

TEST_F(client_connection_v5_test, a_new_message_waits_behind_those_that_wait) {
    open_to("");
    (void)publish_message(1, 1, "t", "1");
    (void)publish_message(2, 1, "t", "2");
    open_to("21 00 01", true);
    (void)publish_message(3, 1, "t", "3");
    sent();
    expect_completed(answer(puback(1)), 1);
    const bytes second = sent();
    EXPECT_EQ(second.back(), '2');
    expect_completed(answer(puback(2)), 2);
    EXPECT_EQ(sent().back(), '3');
}

// 5.0:MQTT-3.2.2-11@client 5.0:MQTT-3.2.2-14@client 5.0:MQTT-3.2.2-15@client
TEST_F(client_connection_v5_test, refuses_what_the_server_does_not_accept) {
    open_to("24 00 25 00 27 00 00 00 14");
    EXPECT_EQ(publish_message(1, 1).error().code, reason_code::qos_not_supported);
    EXPECT_EQ(publish_message(1, 0, "t", "", true).error().code, reason_code::retain_not_supported);
    // 1 + 1 for the fixed header, 3 for the topic, 1 for the properties.
    EXPECT_TRUE(publish_message(1, 0, "t", std::string(14, 'p')));
    EXPECT_EQ(publish_message(1, 0, "t", std::string(15, 'p')).error().code,
              reason_code::packet_too_large);
    const std::string filter(20, 'f');
    subscribe_packet subscription;
    subscription.requests.push_back({filter, {}});
    EXPECT_EQ(connection_->subscribe(2, subscription, now_).error().code,
              reason_code::packet_too_large);
    EXPECT_TRUE(state_.requests.empty());
    EXPECT_EQ(packets_sent(), 1U);
}

TEST_F(client_connection_v5_test, says_which_message_the_next_server_does_not_accept) {
    open_to("");
    (void)publish_message(1, 2, "t", "p");
    (void)publish_message(2, 1, "t", "p");
    open_to("24 01", true);
    const client_action action = connection_->next(now_);
    EXPECT_EQ(std::get<client_refused>(action).ticket, 1U);
    EXPECT_EQ(packets_sent(), 1U);
    EXPECT_EQ(state_.inflight.size(), 1U);
}

// 5.0:MQTT-3.2.2-17@client 5.0:MQTT-3.3.2-8@client 5.0:MQTT-3.3.2-9@client
TEST_F(client_connection_v5_test, uses_the_aliases_it_may_use) {
    open_to("22 00 01");
    for (int i = 0; i < 3; ++i)
        (void)publish_message(0, 0, "long/topic");
    const auto aliased = split_packets(sent());
    ASSERT_EQ(aliased.size(), 3U);
    EXPECT_EQ(aliased[1].size(), aliased[0].size() + 3);
    EXPECT_EQ(aliased[2], wire("30 06 00 00 03 23 00 01"));
    for (int i = 0; i < 3; ++i)
        (void)publish_message(0, 0, "other/topic");
    EXPECT_EQ(split_packets(sent())[2], packet(0x30, string_field("other/topic") + wire("00")));
}

// 5.0:MQTT-3.2.2-18@client 5.0:MQTT-3.3.2-7@client
TEST_F(client_connection_v5_test, uses_no_alias_without_leave_or_of_another_connection) {
    open_to("22 00 05");
    for (int i = 0; i < 3; ++i)
        (void)publish_message(0, 0, "long/topic");
    open_to("");
    sent();
    for (int i = 0; i < 3; ++i)
        (void)publish_message(0, 0, "long/topic");
    for (const bytes& one : split_packets(sent())) {
        if (one.empty()) continue;
        EXPECT_EQ(one, packet(0x30, string_field("long/topic") + wire("00")));
    }
}

// -- what the client bears

// 5.0:MQTT-3.3.2-10@client
TEST_F(client_connection_v5_test, resolves_aliases_up_to_its_maximum) {
    properties own;
    own.add(property_id::topic_alias_maximum, 2);
    open_to("", false, own);
    EXPECT_EQ(std::get<publish_packet>(answer(wire("30 09 00 03 'a/b' 03 23 00 02"))).topic, "a/b");
    EXPECT_EQ(std::get<publish_packet>(answer(wire("30 07 00 00 03 23 00 02 'x'"))).topic, "a/b");
    EXPECT_EQ(std::get<publish_packet>(answer(wire("30 07 00 01 'c' 03 23 00 02"))).topic, "c");
    EXPECT_EQ(std::get<publish_packet>(answer(wire("30 06 00 00 03 23 00 02"))).topic, "c");
    expect_violation(wire("30 06 00 00 03 23 00 01"), reason_code::topic_alias_invalid);
    open_to("", false, own);
    expect_violation(wire("30 07 00 01 'c' 03 23 00 03"), reason_code::topic_alias_invalid);
    open_to("", false, own);
    expect_violation(wire("30 03 00 00 00"), reason_code::topic_alias_invalid);
}

TEST_F(client_connection_v5_test, keeps_servers_to_its_maximum_packet_size) {
    properties own;
    own.add(property_id::maximum_packet_size, 20);
    open_to("", false, own);
    EXPECT_TRUE(std::holds_alternative<publish_packet>(answer(wire("30 12 00 01 't' 00 00*14"))));
    expect_violation(wire("30 13 00 01 't' 00 00*15"), reason_code::packet_too_large);
}

TEST_F(client_connection_v5_test, keeps_servers_to_its_receive_maximum) {
    properties own;
    own.add(property_id::receive_maximum, 2);
    open_to("", false, own);
    const auto second = [](unsigned id) {
        return packet(0x34, string_field("t") + u16_field(id) + wire("00"));
    };
    for (unsigned id = 1; id <= 2; ++id)
        EXPECT_TRUE(std::holds_alternative<publish_packet>(answer(second(id))));
    expect_silent(pubrel(1));
    EXPECT_TRUE(std::holds_alternative<publish_packet>(answer(second(3))));
    expect_violation(second(4), reason_code::receive_maximum_exceeded);
}

// 5.0:MQTT-4.3.2-4@client 5.0:MQTT-4.3.3-8@client 5.0:MQTT-4.3.3-11@client 5.0:MQTT-4.5.0-2@client
// The client puts no properties into acknowledgements, whatever Maximum Packet Size there is:
// 5.0:MQTT-3.4.2-2@client 5.0:MQTT-3.4.2-3@client 5.0:MQTT-3.5.2-2@client
// 5.0:MQTT-3.5.2-3@client 5.0:MQTT-3.6.2-2@client 5.0:MQTT-3.6.2-3@client
// 5.0:MQTT-3.7.2-2@client 5.0:MQTT-3.7.2-3@client
TEST_F(client_connection_v5_test, acknowledges_what_it_does_not_know_with_a_reason) {
    open_to("");
    expect_silent(pubrel(7));
    EXPECT_EQ(sent(), wire("70 03 00 07 92"));
    expect_silent(pubrec(8));
    EXPECT_EQ(sent(), wire("62 03 00 08 92"));
}

// -- manual acknowledgement

// 5.0:MQTT-4.6.0-2@client 5.0:MQTT-4.6.0-3@client
TEST_F(client_connection_v5_test, acknowledges_in_order_of_arrival) {
    client_options options;
    options.manual_acknowledgement = true;
    open_to("", false, {}, options);
    const auto message = [](unsigned level, unsigned id) {
        return packet(static_cast<std::uint8_t>(0x30 | level << 1),
                      string_field("t") + u16_field(id) + wire("00"));
    };
    for (const auto& [level, id] : {std::pair{1U, 1U}, {2U, 2U}, {1U, 3U}})
        EXPECT_TRUE(std::holds_alternative<publish_packet>(answer(message(level, id))));
    expect_silent(message(2, 2));  // repeated too early: no second message, no PUBREC yet
    EXPECT_EQ(sent(), bytes{});
    connection_->acknowledge(3, reason_code::success, now_);
    connection_->acknowledge(2, reason_code::success, now_);
    connection_->acknowledge(2, reason_code::success, now_);
    EXPECT_EQ(sent(), bytes{});
    connection_->acknowledge(1, reason_code::not_authorized, now_);
    EXPECT_EQ(sent(), wire("40 03 00 01 87") + pubrec(2) + puback(3));
    expect_silent(message(2, 2));
    expect_silent(pubrel(2));
    EXPECT_EQ(sent(), pubrec(2) + pubcomp(2));
    // A refused one is forgotten: its identifier may come with another message.
    (void)answer(message(2, 2));
    connection_->acknowledge(2, reason_code::not_authorized, now_);
    EXPECT_EQ(sent(), wire("50 03 00 02 87"));
    EXPECT_TRUE(std::holds_alternative<publish_packet>(answer(message(2, 2))));
}

// -- what nobody waits for

TEST_F(client_connection_v5_test, withdraws_what_nobody_waits_for) {
    open_to("21 00 02");
    for (std::uint64_t ticket = 1; ticket <= 4; ++ticket)
        (void)publish_message(ticket, 1 + ticket % 2);
    EXPECT_EQ(packets_sent(), 2U);
    for (std::uint64_t ticket = 1; ticket <= 3; ++ticket)
        connection_->abandon(ticket);
    EXPECT_EQ(state_.inflight.size(), 3U);  // the third had not left
    open_to("", true);
    // The server may have the first and must not take the next with its identifier for it.
    EXPECT_EQ(split_packets(sent())[0], pubrel(1));
    EXPECT_EQ(state_.inflight.size(), 2U);
    connection_->abandon(4);
}

// -- enhanced authentication

// 5.0:MQTT-4.12.0-3@client 5.0:MQTT-4.12.1-1@client 5.0:MQTT-4.12.1-2@client
// 5.0:MQTT-3.1.2-30@client 5.0:MQTT-3.15.1-1@client
// AUTH has neither Reason String nor User Properties: 5.0:MQTT-3.15.2-2@client
// 5.0:MQTT-3.15.2-3@client
TEST_F(client_connection_v5_test, authenticates_with_its_method) {
    properties own;
    own.add(property_id::authentication_method, "m");
    open(own);
    auth_packet reply{reason_code::continue_authentication, {}};
    reply.props.add(property_id::authentication_data, as_bytes("d"));
    const client_action step = answer(wire("f0 0a 18 08 15 00 01 'm' 16 00 01 's'"));
    EXPECT_EQ(as_text(std::get<auth_packet>(step).props.binary(property_id::authentication_data)),
              "s");
    EXPECT_TRUE(connection_->authenticate(reply, now_));
    EXPECT_EQ(sent(), wire("f0 0a 18 08 16 00 01 'd' 15 00 01 'm'"));
    EXPECT_FALSE(connection_->is_connected());
    EXPECT_TRUE(
        std::holds_alternative<client_connack>(answer(wire("20 07 00 00 04 15 00 01 'm'"))));
    EXPECT_TRUE(connection_->authenticate({reason_code::reauthenticate, {}}, now_));
    EXPECT_EQ(sent(), wire("f0 06 19 04 15 00 01 'm'"));
    expect_violation(wire("f0 06 18 04 15 00 01 'x'"), reason_code::protocol_error);
}

// 5.0:MQTT-4.12.0-7@client
TEST_F(client_connection_v5_test, sends_no_auth_without_a_method) {
    open_to("");
    EXPECT_FALSE(connection_->authenticate({reason_code::reauthenticate, {}}, now_));
    EXPECT_EQ(sent(), bytes{});
    expect_violation(wire("f0 06 18 04 15 00 01 'm'"), reason_code::protocol_error);
}

// -- the end

TEST_F(client_connection_v5_test, reports_disconnect) {
    open_to("");
    const client_action action = answer(wire("e0 02 8b 00"));
    EXPECT_EQ(std::get<disconnect_packet>(action).code, reason_code::server_shutting_down);
    open();
    expect_violation(wire("e0 00"), reason_code::protocol_error);  // before CONNACK
}

// 5.0:MQTT-3.14.2-3@client 5.0:MQTT-3.14.2-4@client 5.0:MQTT-3.14.1-1@client
TEST_F(client_connection_v5_test, disconnects_with_a_reason_that_fits) {
    disconnect_packet packet{reason_code::disconnect_with_will, {}};
    packet.props.add(property_id::reason_string, "0123456789");
    packet.props.add("k", "v");
    open_to("");
    connection_->disconnect(packet);
    EXPECT_EQ(sent(), wire("e0 16 04 14 1f 00 0a '0123456789' 26 00 01 'k' 00 01 'v'"));
    open_to("27 00 00 00 10");
    connection_->disconnect(packet);
    EXPECT_EQ(sent(), wire("e0 01 04"));
    open_to("");
    connection_->disconnect();
    EXPECT_EQ(sent(), disconnect());
}

// -- what the server may not send, and what cannot be sent

// 5.0:MQTT-4.3.3-4@client
TEST_F(client_connection_v5_test, does_not_answer_a_pubrec_of_a_failure_for_an_unknown_message) {
    open_to("");
    expect_silent(wire("50 03 00 07 97"));
    EXPECT_EQ(sent(), bytes{});
    expect_silent(wire("50 02 00 07"));  // a success is released, as nobody else would do it
    EXPECT_EQ(sent(), wire("62 03 00 07 92"));
}

TEST_F(client_connection_v5_test, refuses_reason_codes_that_a_packet_of_the_server_must_not_have) {
    const char* const packets[] = {
        "40 03 00 01 07", "50 03 00 01 07",    "50 03 00 01 01",    "62 03 00 01 97",
        "70 03 00 01 10", "90 04 00 01 00 03", "b0 04 00 01 00 01", "e0 01 04",
    };
    for (const char* each : packets) {
        SCOPED_TRACE(each);
        open_to("");
        expect_violation(wire(each), reason_code::protocol_error);
    }
}

TEST_F(client_connection_v5_test, says_why_a_message_cannot_be_sent) {
    open_to("");
    const auto half = std::string(65'535, 'x');
    const auto refused = publish_message(1, 1, "t" + half);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, reason_code::packet_too_large);
    EXPECT_STREQ(refused.error().what, "the message is too large for an MQTT packet");
    EXPECT_EQ(sent(), bytes{});
    open_to("27 00 00 00 20");
    const auto above = publish_message(1, 1, "t", std::string(40, 'x'));
    ASSERT_FALSE(above);
    EXPECT_STREQ(above.error().what, "the message exceeds the server's Maximum Packet Size");
}

TEST_F(client_connection_v5_test, does_not_send_a_connect_that_has_no_encoding) {
    const std::string too_long(65'536, 'x');
    connection_.emplace(state_, pool_, client_options{});
    connect_packet packet;
    packet.version = protocol_version::v5_0;
    packet.client_id = too_long;
    EXPECT_FALSE(connection_->connect(packet, now_));
    EXPECT_EQ(sent(), bytes{});
}

TEST_F(client_connection_v5_test, keeps_disconnect_within_the_maximum_packet_size) {
    open_to("27 00 00 00 03");
    disconnect_packet packet{reason_code::unspecified_error, {}};
    packet.props.add(property_id::reason_string, std::string_view("because"));
    connection_->disconnect(packet);
    EXPECT_EQ(sent(), wire("e0 01 80"));
    open_to("27 00 00 00 02");
    connection_->disconnect(packet);
    EXPECT_EQ(sent(), bytes{});
}

}  // namespace
}  // namespace amqtt::test
