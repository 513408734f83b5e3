// Peers that send without end and do not read: what the broker holds for them is bounded.
#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

// What the broker may hold for a peer: the mark, and the answers to what one call brought.
constexpr std::size_t mark = 1000;
constexpr std::size_t packets_a_call = 100;
constexpr std::size_t largest_answer = 5;

broker_settings low_mark() {
    broker_settings settings;
    settings.output_high_water = mark;
    return settings;
}

bytes repeated(const bytes& packet) {
    bytes all;
    for (std::size_t i = 0; i < packets_a_call; ++i)
        all = all + packet;
    return all;
}

class flood : public testing::TestWithParam<bytes> {};

TEST_P(flood, of_packets_whose_answers_are_not_read) {
    broker_bed bed(low_mark());
    peer& c = bed["c"].login({.client_id = "c"});
    c.stop_reading();
    const bytes packets = repeated(GetParam());
    for (int i = 0; i < 100; ++i)
        c.send(packets);
    EXPECT_GE(c.unread_output(), mark);
    EXPECT_LE(c.unread_output(), mark + packets_a_call * largest_answer);
    c.expect_open();
    // Nothing is lost of it: each packet is answered as soon as the peer reads.
    c.read_on();
    EXPECT_EQ(c.take_packets().size(), 100 * packets_a_call);
    c.send(pingreq()).expect(pingresp());
}

INSTANTIATE_TEST_SUITE_P(packets, flood,
                         testing::Values(pingreq(), pubrel(1), pubrec(1),
                                         publish({.topic = "t", .level = 1, .packet_id = 1}),
                                         publish({.topic = "t", .level = 2, .packet_id = 1}),
                                         subscribe(1, {{"t", 0}}), unsubscribe(1, {"t"})));

// Deliveries are not answers: a subscriber that reads slowly can acknowledge all the same.
TEST(flood_of_deliveries, does_not_hold_up_acknowledgements) {
    broker_bed bed(low_mark());
    bed["pub"].login({.client_id = "pub"});
    peer& sub = bed["sub"].login({.client_id = "sub"}).subscribe("t", 1);
    sub.stop_reading();
    for (unsigned id = 1; id <= 100; ++id) {
        bed["pub"].send(
            publish({.topic = "t", .payload = std::string(100, 'x'), .level = 1, .packet_id = id}));
    }
    const std::size_t in_flight = bed.session_of("sub")->inflight().size();
    ASSERT_GT(bed.queued("sub"), 0U);
    sub.send(puback(1));
    EXPECT_EQ(bed.session_of("sub")->inflight().size(), in_flight - 1);
}

TEST(flood_of_reconnects, sends_again_only_what_the_output_has_room_for) {
    broker_bed bed(low_mark());
    bed["pub"].login({.client_id = "pub"});
    bed["sub"].login({.client_id = "sub", .clean = false}).subscribe("t", 1);
    for (unsigned id = 1; id <= 50; ++id) {
        bed["pub"].send(
            publish({.topic = "t", .payload = std::string(100, 'x'), .level = 1, .packet_id = id}));
    }
    ASSERT_EQ(bed["sub"].take_packets().size(), 50U);
    peer& again = bed.reopen("sub");
    again.stop_reading().send(connect({.client_id = "sub", .clean = false}));
    EXPECT_LE(again.unread_output(), mark + 200);
    again.read_on().expect(connack(true));
    std::vector<bytes> sent = again.take_packets();
    ASSERT_EQ(sent.size(), 50U);
    for (unsigned id = 1; id <= 50; ++id) {
        EXPECT_EQ(sent[id - 1], publish({.topic = "t",
                                         .payload = std::string(100, 'x'),
                                         .level = 1,
                                         .packet_id = id,
                                         .dup = true}));
    }
}

}  // namespace
}  // namespace amqtt::test
