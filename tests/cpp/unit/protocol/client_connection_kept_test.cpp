// A client whose session is kept elsewhere: nothing leaves before what it depends on is stored.
#include <gtest/gtest.h>

#include "protocol/client_connection.hpp"
#include "support/wire.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

class client_connection_kept_test : public testing::Test {
  protected:
    client_connection_kept_test() { state_.keep(); }

    void connect_again(bool session_present, bool manual = false) {
        client_options options;
        options.manual_acknowledgement = manual;
        connection_.emplace(state_, pool_, options);
        connect_packet packet;
        packet.client_id = "c";
        packet.clean_start = false;
        EXPECT_TRUE(connection_->connect(packet, now_));
        EXPECT_EQ(sent(), connect({.client_id = "c", .clean = false}));
        EXPECT_EQ(answer(connack(session_present)).index(), 1U);
    }
    bytes sent() { return take_all(connection_->output()); }
    client_action answer(bytes data) {
        input_ = std::move(data);
        connection_->receive(input_);
        return connection_->next(now_);
    }
    void publish_message(std::uint64_t ticket, std::string_view payload, unsigned level) {
        const auto content =
            message::create("t", as_bytes(payload), static_cast<qos>(level), false);
        ASSERT_TRUE(connection_->publish(ticket, content, now_));
    }
    bool store() {
        stored_ += state_.take_changes().size();
        state_.stored(stored_);
        return connection_->stored(stored_);
    }

    instant now_ = 100s;
    bytes input_;
    block_pool pool_;
    client_state state_;
    std::uint64_t stored_ = 0;
    std::optional<client_connection> connection_;
};

TEST_F(client_connection_kept_test, a_message_waits_until_it_is_stored) {
    connect_again(false);
    publish_message(1, "x", 1);
    EXPECT_EQ(sent(), bytes{});
    EXPECT_GT(connection_->output_size(), 0U);
    EXPECT_TRUE(store());
    EXPECT_EQ(sent(), publish({.topic = "t", .payload = "x", .level = 1, .packet_id = 1}));
    EXPECT_FALSE(store());
}

TEST_F(client_connection_kept_test, qos_0_does_not_overtake_and_needs_no_store) {
    connect_again(false);
    publish_message(0, "first", 0);
    EXPECT_EQ(sent(), publish({.topic = "t", .payload = "first"}));
    publish_message(1, "x", 1);
    publish_message(0, "second", 0);
    EXPECT_EQ(sent(), bytes{});
    store();
    EXPECT_EQ(sent(), publish({.topic = "t", .payload = "x", .level = 1, .packet_id = 1}) +
                          publish({.topic = "t", .payload = "second"}));
}

TEST_F(client_connection_kept_test, each_step_of_qos_2_is_stored_first) {
    connect_again(false);
    publish_message(1, "x", 2);
    store();
    sent();
    answer(pubrec(1));
    EXPECT_EQ(sent(), bytes{});
    store();
    EXPECT_EQ(sent(), pubrel(1));
    EXPECT_TRUE(std::holds_alternative<client_completed>(answer(pubcomp(1))));
    EXPECT_TRUE(state_.has_changes());
}

TEST_F(client_connection_kept_test, a_received_message_is_stored_before_pubrec_and_pubcomp) {
    connect_again(false);
    answer(publish({.topic = "t", .payload = "x", .level = 2, .packet_id = 5}));
    EXPECT_EQ(sent(), bytes{});
    store();
    EXPECT_EQ(sent(), pubrec(5));
    answer(pubrel(5));
    EXPECT_EQ(sent(), bytes{});
    store();
    EXPECT_EQ(sent(), pubcomp(5));
}

TEST_F(client_connection_kept_test, pings_do_not_wait) {
    connect_again(false);
    publish_message(1, "x", 1);
    connection_->ping(2, now_);
    EXPECT_EQ(sent(), (bytes{0xC0, 0}));
}

TEST_F(client_connection_kept_test, what_was_restored_is_sent_again) {
    state_.restore(11, 4, message::create("t", as_bytes("x"), qos::at_least_once, false));
    state_.restore_released(12, 2, reason_code::success);
    state_.restore_received(9);
    connect_again(true);
    EXPECT_EQ(sent(),
              publish({.topic = "t", .payload = "x", .level = 1, .packet_id = 4, .dup = true}) +
                  pubrel(2));
    const client_action known =
        answer(publish({.topic = "t", .payload = "y", .level = 2, .packet_id = 9, .dup = true}));
    EXPECT_TRUE(std::holds_alternative<client_need_input>(known));
    EXPECT_EQ(sent(), pubrec(9));
    const client_action done = answer(puback(4));
    ASSERT_TRUE(std::holds_alternative<client_completed>(done));
    EXPECT_EQ(std::get<client_completed>(done).ticket, 11U);
}

TEST_F(client_connection_kept_test, without_the_servers_session_messages_are_new) {
    state_.restore(11, 4, message::create("t", as_bytes("x"), qos::exactly_once, false));
    state_.restore_received(9);
    connect_again(false);
    // Behind the change that the received ones are forgotten.
    EXPECT_EQ(sent(), bytes{});
    store();
    EXPECT_EQ(sent(), publish({.topic = "t", .payload = "x", .level = 2, .packet_id = 4}));
}

TEST_F(client_connection_kept_test, what_waits_at_a_loss_is_sent_on_the_next_connection) {
    connect_again(false);
    publish_message(1, "x", 1);
    connect_again(true);
    EXPECT_EQ(sent(), bytes{});
    store();
    EXPECT_EQ(sent(),
              publish({.topic = "t", .payload = "x", .level = 1, .packet_id = 1, .dup = true}));
}

TEST_F(client_connection_kept_test, the_applications_acknowledgement_is_stored) {
    connect_again(false, true);
    answer(publish({.topic = "t", .payload = "x", .level = 2, .packet_id = 5}));
    EXPECT_FALSE(state_.has_changes());
    connection_->acknowledge(5, reason_code::success, now_);
    EXPECT_EQ(sent(), bytes{});
    store();
    EXPECT_EQ(sent(), pubrec(5));
}

}  // namespace
}  // namespace amqtt::test
