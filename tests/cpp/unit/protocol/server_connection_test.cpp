#include "protocol/server_connection.hpp"

#include <array>
#include <optional>

#include <gtest/gtest.h>

#include "support/wire.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

class server_connection_test : public testing::Test {
  protected:
    // What the connection makes of data; data stays valid.
    server_event event_of(bytes data) {
        input_ = std::move(data);
        connection_.receive(input_, 0s);
        return connection_.next();
    }

    void log_in(unsigned version = 4) {
        const server_event event = event_of(connect({.client_id = "c", .version = version}));
        ASSERT_TRUE(std::holds_alternative<connect_packet>(event));
        EXPECT_FALSE(connection_.is_connected());
        connection_.send_connack(false, reason_code::success);
        EXPECT_TRUE(connection_.is_connected());
        take_all(connection_.output());
    }

    std::optional<reason_code> violation_of(bytes data) {
        const server_event event = event_of(std::move(data));
        const auto* violation = std::get_if<protocol_violation>(&event);
        return violation ? std::optional(violation->code) : std::nullopt;
    }

    bytes input_;
    block_pool pool_;
    server_connection connection_{1000, pool_};
};

// One well-formed packet of each type, in the order of their numbers.
std::vector<bytes> one_of_each() {
    return {wire("00 00"),
            connect({.client_id = "c"}),
            connack(),
            publish({.topic = "t", .payload = "p"}),
            puback(1),
            pubrec(1),
            pubrel(1),
            pubcomp(1),
            subscribe(1, {{"f", 0}}),
            suback(1, {0}),
            unsubscribe(1, {"f"}),
            unsuback(1),
            pingreq(),
            pingresp(),
            disconnect(),
            wire("f0 00")};
}

// 3.1.1:MQTT-3.1.0-1@server
TEST_F(server_connection_test, wants_connect_first) {
    const std::vector<bytes> all = one_of_each();
    for (std::size_t type = 0; type < all.size(); ++type) {
        block_pool pool;
        server_connection fresh(1000, pool);
        fresh.receive(all[type], 0s);
        const server_event event = fresh.next();
        EXPECT_EQ(std::holds_alternative<connect_packet>(event), type == 1) << type;
        EXPECT_EQ(std::holds_alternative<protocol_violation>(event), type != 1) << type;
        EXPECT_TRUE(fresh.output().empty());
    }
}

// 3.1.1:MQTT-3.1.0-2@server
TEST_F(server_connection_test, tells_the_packets_of_a_connected_client) {
    const std::vector<bytes> all = one_of_each();
    const auto index_of = [](std::size_t type) -> std::size_t {
        switch (type) {
            case 3:
                return 2;  // publish_packet
            case 4:
            case 5:
            case 6:
            case 7:
                return 3;  // ack_packet
            case 8:
                return 4;  // subscribe_packet
            case 10:
                return 5;  // unsubscribe_packet
            case 12:
                return 0;  // answered inside
            case 14:
                return 6;  // disconnect_packet
            default:
                return 8;  // protocol_violation
        }
    };
    for (std::size_t type = 0; type < all.size(); ++type) {
        block_pool pool;
        server_connection fresh(1000, pool);
        const bytes first = connect({.client_id = "c"});
        fresh.receive(first, 0s);
        ASSERT_TRUE(std::holds_alternative<connect_packet>(fresh.next()));
        fresh.send_connack(false, reason_code::success);
        fresh.receive(all[type], 0s);
        EXPECT_EQ(fresh.next().index(), index_of(type)) << type;
    }
}

TEST_F(server_connection_test, hands_out_what_the_packets_say) {
    const server_event first = event_of(connect({.client_id = "me",
                                                 .clean = false,
                                                 .keep_alive = 300,
                                                 .will = {{"w/t", "bye", 2, true}},
                                                 .user_name = "u",
                                                 .password = "secret"}));
    const auto& request = std::get<connect_packet>(first);
    EXPECT_EQ(request.version, protocol_version::v3_1_1);
    EXPECT_EQ(request.client_id, "me");
    EXPECT_FALSE(request.clean_start);
    EXPECT_EQ(request.keep_alive, 300);
    EXPECT_EQ(request.will->topic, "w/t");
    EXPECT_EQ(as_text(request.will->payload), "bye");
    EXPECT_EQ(request.will->level, qos::exactly_once);
    EXPECT_TRUE(request.will->retain);
    EXPECT_EQ(*request.user_name, "u");
    EXPECT_EQ(as_text(*request.password), "secret");
    connection_.send_connack(false, reason_code::success);

    const server_event second = event_of(publish(
        {.topic = "t", .payload = "p", .level = 1, .packet_id = 5, .retain = true, .dup = true}));
    const auto& message = std::get<publish_packet>(second);
    EXPECT_EQ(message.topic, "t");
    EXPECT_EQ(as_text(message.payload), "p");
    EXPECT_EQ(message.level, qos::at_least_once);
    EXPECT_EQ(message.packet_id, 5);
    EXPECT_TRUE(message.retain && message.dup);

    const server_event third = event_of(subscribe(6, {{"a", 1}, {"b/#", 2}}));
    const auto& wish = std::get<subscribe_packet>(third);
    EXPECT_EQ(wish.packet_id, 6);
    ASSERT_EQ(wish.requests.size(), 2U);
    EXPECT_EQ(wish.requests[1].filter, "b/#");
    EXPECT_EQ(wish.requests[1].options.level, qos::exactly_once);

    const server_event fourth = event_of(unsubscribe(7, {"a", "c"}));
    EXPECT_EQ(std::get<unsubscribe_packet>(fourth).filters,
              (std::vector<std::string_view>{"a", "c"}));
}

// 3.1.1:MQTT-3.12.4-1@server
TEST_F(server_connection_test, answers_pings_between_other_packets) {
    log_in();
    const server_event event =
        event_of(pingreq() + pingreq() + puback(3) + pingreq() + publish({.topic = "t"}));
    EXPECT_TRUE(std::holds_alternative<ack_packet>(event));
    EXPECT_EQ(take_all(connection_.output()), pingresp() + pingresp());
    EXPECT_TRUE(std::holds_alternative<publish_packet>(connection_.next()));
    EXPECT_EQ(take_all(connection_.output()), pingresp());
    EXPECT_TRUE(std::holds_alternative<no_packet>(connection_.next()));
}

// However many there are, its user has a say in between.
TEST_F(server_connection_test, answers_many_pings_a_few_at_a_time) {
    log_in();
    bytes pings;
    for (int i = 0; i < 1000; ++i)
        pings = std::move(pings) + pingreq();
    std::size_t answered = 0;
    server_event event = event_of(pings);
    for (auto* none = std::get_if<no_packet>(&event); none && none->input_is_left;
         none = std::get_if<no_packet>(&event)) {
        const std::size_t now = take_all(connection_.output()).size() / pingresp().size();
        EXPECT_LE(now, 100U);
        answered += now;
        event = connection_.next();
    }
    EXPECT_TRUE(std::holds_alternative<no_packet>(event));
    EXPECT_EQ(answered + take_all(connection_.output()).size() / pingresp().size(), 1000U);
}

TEST_F(server_connection_test, does_not_answer_pings_before_connack) {
    ASSERT_TRUE(std::holds_alternative<connect_packet>(event_of(connect({.client_id = "c"}))));
    connection_.pause();
    EXPECT_TRUE(connection_.output().empty());
    EXPECT_EQ(violation_of(wire("c0 01 00")), reason_code::malformed_packet);
}

// 3.1.1:MQTT-2.2.2-1@server 3.1.1:MQTT-2.2.2-2@server
TEST_F(server_connection_test, wants_the_reserved_flags_as_they_are_listed) {
    const std::vector<bytes> all = one_of_each();
    for (const std::size_t type : {1U, 4U, 5U, 6U, 7U, 8U, 10U, 12U, 14U}) {
        for (std::uint8_t flags = 0; flags < 16; ++flags) {
            block_pool pool;
            server_connection fresh(1000, pool);
            const bytes first = connect({.client_id = "c"});
            if (type != 1) {
                fresh.receive(first, 0s);
                (void)fresh.next();
                fresh.send_connack(false, reason_code::success);
            }
            bytes data = all[type];
            const auto required = static_cast<std::uint8_t>(data[0] & 0x0F);
            data[0] = static_cast<std::uint8_t>((data[0] & 0xF0) | flags);
            fresh.receive(data, 0s);
            const server_event event = fresh.next();
            const auto* violation = std::get_if<protocol_violation>(&event);
            EXPECT_EQ(violation == nullptr, flags == required) << type << " " << int{flags};
            if (violation) {
                EXPECT_EQ(violation->code, reason_code::malformed_packet);
            }
        }
    }
}

TEST_F(server_connection_test, lets_3_1_mark_repetitions) {
    log_in(3);
    EXPECT_FALSE(violation_of(wire("6a 02 00 01")));
    EXPECT_FALSE(violation_of(wire("8a 06 00 01 00 01 'f' 00")));
    EXPECT_FALSE(violation_of(wire("aa 05 00 01 00 01 'f'")));
    EXPECT_TRUE(violation_of(wire("e8 00")));
    EXPECT_TRUE(violation_of(wire("60 02 00 01")));
}

TEST_F(server_connection_test, names_the_reason_of_a_violation) {
    log_in();
    EXPECT_EQ(violation_of(connect({.client_id = "c"})), reason_code::protocol_error);
    EXPECT_EQ(violation_of(wire("00 00")), reason_code::malformed_packet);
    EXPECT_EQ(violation_of(suback(1, {0})), reason_code::protocol_error);
    EXPECT_EQ(violation_of(wire("c0 01 00")), reason_code::malformed_packet);
    EXPECT_EQ(violation_of(wire("36 05 00 01 't' 00 01")), reason_code::malformed_packet);
    EXPECT_EQ(violation_of(wire("32 05 00 01 't' 00 00")), reason_code::protocol_error);
    EXPECT_EQ(violation_of(wire("82 02 00 01")), reason_code::protocol_error);
    EXPECT_EQ(violation_of(wire("82 06 00 01 00 01 'f' 03")), reason_code::protocol_error);
    EXPECT_EQ(violation_of(wire("a2 02 00 01")), reason_code::protocol_error);
    EXPECT_EQ(violation_of(wire("e0 01 00")), reason_code::malformed_packet);
}

TEST_F(server_connection_test, names_what_is_wrong_with_a_stream) {
    EXPECT_EQ(violation_of(wire("10 80 80 80 80 01")), reason_code::malformed_packet);
}

TEST_F(server_connection_test, refuses_packets_above_its_limit) {
    EXPECT_EQ(violation_of(wire("10 e6 07")), reason_code::packet_too_large);  // 998 + 3 bytes
}

TEST_F(server_connection_test, tells_an_unknown_level_from_an_unknown_protocol) {
    EXPECT_EQ(violation_of(wire("10 0d 00 04 'MQTT' 06 02 00 00 00 01 'c'")),
              reason_code::unsupported_protocol_version);
    block_pool pool;
    server_connection other(1000, pool);
    const bytes data = wire("10 0d 00 04 'HTTP' 04 02 00 00 00 01 'c'");
    other.receive(data, 0s);
    const server_event event = other.next();
    EXPECT_EQ(std::get<protocol_violation>(event).code, reason_code::malformed_packet);
}

TEST_F(server_connection_test, keeps_an_incomplete_packet) {
    log_in();
    const bytes whole = publish({.topic = "topic", .payload = "payload"});
    for (std::size_t i = 0; i + 1 < whole.size(); ++i) {
        EXPECT_TRUE(std::holds_alternative<no_packet>(event_of({whole[i]})));
        EXPECT_EQ(connection_.buffered_input(), i + 1);
    }
    const server_event event = event_of({whole.back()});
    EXPECT_EQ(as_text(std::get<publish_packet>(event).payload), "payload");
}

TEST_F(server_connection_test, sees_the_topic_behind_the_next_packet) {
    log_in();
    bytes data = pingreq();
    for (const bytes& each :
         {publish({.topic = "first", .payload = "p"}), publish({.topic = "second"}),
          publish({.topic = "third"}), puback(1), wire("30 05 00 05 'bad'"), wire("30 09 00")})
        data.insert(data.end(), each.begin(), each.end());
    (void)event_of(std::move(data));  // the first PUBLISH
    EXPECT_EQ(connection_.second_topic(), "third");
    (void)connection_.next();
    EXPECT_EQ(connection_.second_topic(), "");  // an acknowledgement
    (void)connection_.next();
    EXPECT_EQ(connection_.second_topic(), "");  // a topic longer than its packet
    (void)connection_.next();
    EXPECT_EQ(connection_.second_topic(), "");  // a packet that is not whole
}

TEST_F(server_connection_test, encodes_its_answers_for_3_1_1) {
    log_in();
    EXPECT_TRUE(
        connection_.send_suback(0x0102, std::array{reason_code::granted_qos_2, reason_code::success,
                                                   reason_code::topic_filter_invalid}));
    EXPECT_TRUE(connection_.send_unsuback(3, std::array{reason_code::no_subscription_existed}));
    connection_.send_ack(packet_type::puback, 4, reason_code::not_authorized);
    connection_.send_disconnect(reason_code::server_shutting_down);  // there is none
    EXPECT_EQ(take_all(connection_.output()), wire("90 05 01 02 02 00 80 b0 02 00 03 40 02 00 04"));
}

TEST_F(server_connection_test, encodes_its_answers_for_5_0) {
    ASSERT_TRUE(std::holds_alternative<connect_packet>(
        event_of(connect({.client_id = "c", .version = 5}))));
    connection_.send_connack(true, reason_code::success);
    EXPECT_TRUE(connection_.send_suback(
        1, std::array{reason_code::granted_qos_1, reason_code::not_authorized}));
    EXPECT_TRUE(connection_.send_unsuback(2, std::array{reason_code::no_subscription_existed}));
    outgoing_publish retained;
    retained.topic = "t";
    retained.payload = as_bytes("p");
    retained.retain = true;
    connection_.send_publish(retained, nullptr);
    connection_.send_disconnect(reason_code::server_shutting_down);
    EXPECT_EQ(take_all(connection_.output()),
              wire("20 03 01 00 00 90 05 00 01 00 01 87 b0 04 00 02 00 11 31 05 00 01 't' 00 'p' "
                   "e0 01 8b"));
}

struct refusal {
    unsigned version;
    reason_code code;
    const char* answer;
};

// 3.1.1:MQTT-3.2.2-4@server 3.1.1:MQTT-3.2.2-6@server
TEST_F(server_connection_test, encodes_refusals) {
    const refusal all[] = {
        {3, reason_code::client_identifier_not_valid, "20 02 00 02"},
        {4, reason_code::unsupported_protocol_version, "20 02 00 01"},
        {4, reason_code::client_identifier_not_valid, "20 02 00 02"},
        {4, reason_code::server_unavailable, "20 02 00 03"},
        {4, reason_code::bad_user_name_or_password, "20 02 00 04"},
        {4, reason_code::not_authorized, "20 02 00 05"},
        {4, reason_code::malformed_packet, ""},  // none fits
        {5, reason_code::malformed_packet, "20 03 00 81 00"},
        {5, reason_code::banned, "20 03 00 8a 00"},
    };
    for (const refusal& each : all) {
        block_pool pool;
        server_connection fresh(1000, pool);
        const bytes first = connect({.client_id = "c", .version = each.version});
        fresh.receive(first, 0s);
        (void)fresh.next();
        fresh.send_connack(true, each.code);
        EXPECT_FALSE(fresh.is_connected());
        EXPECT_EQ(take_all(fresh.output()), wire(each.answer)) << int{to_byte(each.code)};
    }
}

TEST_F(server_connection_test, computes_the_keep_alive_deadline) {
    const bytes data = connect({.client_id = "c"});
    connection_.receive(data, 10s);
    EXPECT_TRUE(std::holds_alternative<connect_packet>(connection_.next()));
    EXPECT_EQ(connection_.keep_alive_deadline(10, 0), 25s);
    EXPECT_EQ(connection_.keep_alive_deadline(1, 0), 11'500ms);
    EXPECT_EQ(connection_.keep_alive_deadline(65'535, 7), 10s + 98'302'500ms + 7s);
}

// (3.1.1: MQTT-3.1.2-24)
TEST_F(server_connection_test, counts_packets_and_not_bytes_for_keep_alive) {
    log_in();
    const instant before = connection_.keep_alive_deadline(10, 0);
    const bytes data = publish({.topic = "t", .payload = "payload"});
    EXPECT_FALSE(connection_.has_part_of_packet());
    connection_.receive(bytes_view(data).first(4), 5s);
    EXPECT_TRUE(std::holds_alternative<no_packet>(connection_.next()));
    EXPECT_TRUE(connection_.has_part_of_packet());
    EXPECT_EQ(connection_.keep_alive_deadline(10, 0), before);
    connection_.receive(bytes_view(data).subspan(4), 9s);
    EXPECT_TRUE(std::holds_alternative<publish_packet>(connection_.next()));
    EXPECT_FALSE(connection_.has_part_of_packet());
    EXPECT_EQ(connection_.keep_alive_deadline(10, 0), 24s);
}

TEST_F(server_connection_test, gives_a_packet_time_as_long_as_it_comes) {
    log_in();
    const bytes data = publish({.topic = "t", .payload = std::string(900, 'x')});
    const auto receive = [&](std::size_t from, std::size_t n, instant now) {
        connection_.receive(bytes_view(data).subspan(from, n), now);
        EXPECT_TRUE(std::holds_alternative<no_packet>(connection_.next()));
    };
    receive(0, 1, 10s);
    EXPECT_EQ(connection_.packet_deadline(5s, 100, 12s), 15s);
    receive(1, 98, 14s);
    EXPECT_EQ(connection_.packet_deadline(5s, 100, 15s), 15s);  // a byte too few
    receive(99, 1, 15s);
    EXPECT_EQ(connection_.packet_deadline(5s, 100, 15s), 20s);
    receive(100, 99, 20s);
    EXPECT_EQ(connection_.packet_deadline(5s, 100, 20s), 20s);
    connection_.restart_keep_alive(30s);  // nobody has listened
    EXPECT_EQ(connection_.packet_deadline(5s, 100, 31s), 35s);
}

TEST(server_connection_first_byte, must_be_that_of_connect) {
    for (int first = 0; first < 256; ++first) {
        block_pool pool;
        server_connection fresh(1000, pool);
        const bytes data{static_cast<std::uint8_t>(first)};
        fresh.receive(data, 0s);
        const server_event event = fresh.next();
        if (first == 0x10) {
            EXPECT_TRUE(std::holds_alternative<no_packet>(event));
        } else {
            EXPECT_EQ(std::get<protocol_violation>(event).code,
                      first >> 4 == 1 ? reason_code::malformed_packet : reason_code::protocol_error)
                << first;
        }
    }
}

}  // namespace
}  // namespace amqtt::test
