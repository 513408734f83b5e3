// Bridges of other brokers, which set a bit of the protocol level (try_private of mosquitto).
#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

class bridge : public testing::TestWithParam<bool> {
  protected:
    bridge() {
        // MQTT 3.1, or 3.1.1.
        bed_["b"].send(GetParam() ? "10 0f 00 06 'MQIsdp' 83 02 00 00 00 01 'b'"
                                  : "10 0d 00 04 'MQTT' 84 02 00 00 00 01 'b'");
        bed_["b"].expect(connack()).subscribe("#", 1);
        bed_["c"].login({.client_id = "c"}).subscribe("#", 1);
    }
    ~bridge() override { bed_.expect_consistent(); }

    broker_bed bed_;
};

TEST_P(bridge, does_not_get_back_what_it_sends) {
    const bytes message = publish({.topic = "t", .payload = "x"});
    bed_["b"].send(message);
    bed_["c"].expect(message);
    bed_["b"].expect_nothing();
    bed_["c"].send(message).expect(message);
    bed_["b"].expect(message).expect_nothing();
}

TEST_P(bridge, learns_what_is_retained) {
    const bytes message = publish({.topic = "t", .payload = "x", .retain = true});
    bed_["c"].send(message).expect(publish({.topic = "t", .payload = "x"}));
    bed_["b"].expect(message);
}

TEST_P(bridge, may_be_a_member_of_a_shared_subscription) {
    bed_["b"].send(unsubscribe(1, {"#"})).expect(unsuback(1)).subscribe("$share/g/t");
    const bytes message = publish({.topic = "t", .payload = "x"});
    bed_["b"].send(message).expect(message);
}

INSTANTIATE_TEST_SUITE_P(of_mqtt_3, bridge, testing::Bool());

// 5.0: a client says itself whether it wants its own messages.
TEST(bridge_of_mqtt_5, has_the_options_that_it_asks_for) {
    broker_bed bed;
    bed["b"].send("10 0e 00 04 'MQTT' 85 02 00 00 00 00 01 'b'").take();
    bed["b"].send("82 08 00 01 00 00 02 't/' 00").take();
    bed["b"].send("30 06 00 02 't/' 00 'x'").expect("30 06 00 02 't/' 00 'x'");
    bed["b"].send("82 08 00 01 00 00 02 't/' 04").take();
    bed["b"].send("30 06 00 02 't/' 00 'x'").expect_nothing();
}

}  // namespace
}  // namespace amqtt::test
