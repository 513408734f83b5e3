#include "protocol/gated_output.hpp"

#include <gtest/gtest.h>

#include "support/wire.hpp"

namespace amqtt::test {
namespace {

struct gated_output_test : testing::Test {
    void send(send_class what, std::string_view text, std::uint64_t until = 0) {
        gate.hold_for(until);
        gate.place(what).append(as_bytes(text));
        gate.hold_for(0);
    }
    std::string sent() {
        const bytes all = take_all(gate.ready());
        return {all.begin(), all.end()};
    }

    block_pool pool;
    gated_output gate{pool};
};

TEST_F(gated_output_test, lets_through_what_waits_for_nothing) {
    send(send_class::acknowledgement, "a");
    send(send_class::publish, "b");
    EXPECT_FALSE(gate.is_waiting());
    EXPECT_EQ(sent(), "ab");
}

TEST_F(gated_output_test, holds_back_until_the_number_is_released) {
    send(send_class::acknowledgement, "a", 3);
    EXPECT_EQ(gate.size(), 1U);
    EXPECT_FALSE(gate.release(2));
    EXPECT_EQ(sent(), "");
    EXPECT_TRUE(gate.release(3));
    EXPECT_EQ(sent(), "a");
    EXPECT_FALSE(gate.is_waiting());
}

TEST_F(gated_output_test, keeps_the_order_of_acknowledgements) {
    send(send_class::acknowledgement, "a", 3);
    send(send_class::acknowledgement, "b");
    send(send_class::acknowledgement, "c", 5);
    send(send_class::acknowledgement, "d");
    gate.release(4);
    EXPECT_EQ(sent(), "ab");
    gate.release(5);
    EXPECT_EQ(sent(), "cd");
}

TEST_F(gated_output_test, lets_messages_pass_acknowledgements) {
    send(send_class::acknowledgement, "a", 3);
    send(send_class::publish, "m");
    send(send_class::control, "p");
    EXPECT_EQ(sent(), "mp");
}

TEST_F(gated_output_test, keeps_the_order_of_messages) {
    send(send_class::publish, "m", 3);
    send(send_class::publish, "n");
    send(send_class::control, "p");
    EXPECT_EQ(sent(), "p");
    gate.release(3);
    EXPECT_EQ(sent(), "mn");
}

TEST_F(gated_output_test, lets_no_message_pass_the_answer_to_subscribe) {
    send(send_class::answer, "s", 3);
    send(send_class::publish, "m");
    EXPECT_EQ(sent(), "");
    gate.release(3);
    EXPECT_EQ(sent(), "sm");
}

TEST_F(gated_output_test, lets_nothing_pass_connack) {
    send(send_class::connack, "c", 3);
    send(send_class::control, "p");
    send(send_class::publish, "m");
    EXPECT_EQ(sent(), "");
    gate.release(3);
    EXPECT_EQ(sent(), "cpm");
}

// PINGRESP, AUTH and DISCONNECT depend on nothing that is stored, even if they are sent while the
// broker is about to send what does.
TEST_F(gated_output_test, holds_back_no_control_packet) {
    send(send_class::control, "p", 3);
    EXPECT_EQ(sent(), "p");
    EXPECT_FALSE(gate.is_waiting());
    send(send_class::acknowledgement, "a", 3);
    send(send_class::control, "d", 4);
    EXPECT_EQ(sent(), "d");
    gate.release(3);
    EXPECT_EQ(sent(), "a");
}

TEST_F(gated_output_test, tells_what_lets_go_connack_and_all_behind_it) {
    EXPECT_EQ(gate.connack_and_rest(), 0U);
    send(send_class::acknowledgement, "a", 3);
    EXPECT_EQ(gate.connack_and_rest(), 0U);
    gate.release(3);
    send(send_class::connack, "c", 5);
    EXPECT_EQ(gate.connack_and_rest(), 5U);
    send(send_class::answer, "s", 7);
    send(send_class::control, "d", 7);
    EXPECT_EQ(gate.connack_and_rest(), 7U);
    gate.release(7);
    EXPECT_EQ(sent(), "acsd");
    EXPECT_EQ(gate.connack_and_rest(), 0U);
}

TEST_F(gated_output_test, forgets_what_waits) {
    send(send_class::acknowledgement, "a", 3);
    gate.drop_waiting();
    gate.release(3);
    EXPECT_EQ(sent(), "");
    EXPECT_EQ(gate.size(), 0U);
}

TEST_F(gated_output_test, moves_payloads_that_are_shared) {
    const std::string large(100'000, 'x');
    const auto owner = message::create("t", as_bytes(large), qos::at_most_once, false);
    gate.hold_for(3);
    output_queue& place = gate.place(send_class::publish);
    place.append(as_bytes("h"));
    place.append_shared(owner, owner->payload());
    gate.hold_for(4);
    gate.place(send_class::publish).append(as_bytes("z"));
    gate.hold_for(0);
    gate.release(3);
    EXPECT_EQ(sent(), "h" + large);
    gate.release(4);
    EXPECT_EQ(sent(), "z");
}

TEST(gated_output_elsewhere, counts_what_is_on_its_way) {
    block_pool pool;
    gated_output gate(pool);
    gate.place(send_class::control).append(as_bytes("abc"));
    gate.handed_over(gate.ready().size());
    gate.ready().clear();
    gate.place(send_class::control).append(as_bytes("de"));
    EXPECT_EQ(gate.size(), 5U);
    gate.arrived(2);
    EXPECT_EQ(gate.size(), 3U);
    gate.arrived(1);
    EXPECT_EQ(gate.size(), 2U);
}

}  // namespace
}  // namespace amqtt::test
