// How sessions and connections begin, change hands and end.
#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;
using texts = std::vector<std::string>;

const connect_spec persistent{.client_id = "x", .clean = false};

TEST(session_expiry, drops_a_session_that_stays_away) {
    broker_settings settings;
    settings.session_expiry = 60s;
    broker_bed bed(settings);
    bed["one"].login(persistent).subscribe("t", 1).send(disconnect());
    bed.publish("t", "p", qos::at_least_once);
    bed.advance(59s);
    EXPECT_NE(bed.session_of("x"), nullptr);
    bed.advance(2s);
    EXPECT_EQ(bed.session_of("x"), nullptr);
    EXPECT_EQ(bed.core.routes().subscription_count(), 0U);
    bed.publish("t", "p", qos::at_least_once);
    bed["two"].login(persistent, false).expect_nothing();
}

TEST(session_expiry, starts_anew_with_each_disconnection) {
    broker_settings settings;
    settings.session_expiry = 60s;
    broker_bed bed(settings);
    bed["one"].login(persistent).send(disconnect());
    bed.advance(50s);
    bed["two"].login(persistent, true);
    bed.advance(120s);  // connected: it does not run
    bed["two"].abort();
    bed.advance(50s);
    bed["three"].login(persistent, true);
    bed.expect_consistent();
}

TEST(session_expiry, is_off_by_default) {
    broker_bed bed;
    bed["one"].login(persistent).send(disconnect());
    bed.advance(std::chrono::hours(24 * 365 * 10), true);
    bed["two"].login(persistent, true);
}

// 3.1.1:MQTT-3.1.2-24@server
TEST(keep_alive, is_extended_by_the_settings) {
    broker_settings settings;
    settings.keep_alive_extra = 5;
    broker_bed bed(settings);
    bed["c"].login({.client_id = "c", .keep_alive = 10});
    bed.advance(19s + 900ms);
    bed["c"].expect_open();
    bed["c"].send(puback(1));  // anything counts
    bed.advance(19s + 900ms);
    bed["c"].expect_open();
    bed.advance(200ms);
    bed["c"].expect_closed();
    EXPECT_EQ(bed.hooks.reasons, std::vector{reason_code::keep_alive_timeout});
}

// 3.1.1:MQTT-3.1.4-2@server
TEST(take_over, passes_a_persistent_session_down_a_chain) {
    broker_bed bed;
    bed["watch"].login({.client_id = "watch"}).subscribe("w");
    bed.hooks.events.clear();
    for (const std::string name : {"1", "2", "3", "4"}) {
        connect_spec who = persistent;
        who.will = {{"w", "will of " + name}};
        bed[name].login(who, name != "1");
        if (name == "1") bed[name].subscribe("t", 1);
        bed.expect_consistent();
    }
    for (const std::string name : {"1", "2", "3"}) {
        bed[name].expect_closed();
        bed["watch"].expect(publish({.topic = "w", .payload = "will of " + name}));
    }
    bed["watch"].expect_nothing();
    bed.publish("t", "p", qos::at_least_once);
    bed["4"].expect(publish({.topic = "t", .payload = "p", .level = 1, .packet_id = 1}));
    EXPECT_EQ(bed.hooks.events,
              (texts{"connected x", "disconnected x", "connected x", "disconnected x",
                     "connected x", "disconnected x", "connected x"}));
}

TEST(take_over, of_a_clean_session_starts_afresh) {
    broker_bed bed;
    bed["1"].login({.client_id = "x"}).subscribe("t");
    bed["2"].login({.client_id = "x"});
    bed["1"].expect_closed();
    bed.publish("t", "p");
    bed["2"].expect_nothing();
    bed["3"].login(persistent, false).subscribe("t", 1);
    bed["4"].login({.client_id = "x"});
    bed["5"].login(persistent, false);
    bed.publish("t", "p");
    bed["5"].expect_nothing();
    bed.expect_consistent();
}

TEST(take_over, sends_again_what_the_old_connection_did_not_acknowledge) {
    broker_bed bed;
    bed["1"].login(persistent).subscribe("t", 1);
    bed["1"].stop_reading();
    bed.publish("t", "p", qos::at_least_once);
    bed["2"].login(persistent, true);
    bed["2"].expect(
        publish({.topic = "t", .payload = "p", .level = 1, .packet_id = 1, .dup = true}));
    bed["1"].send(puback(1));  // nobody listens
    EXPECT_EQ(bed.session_of("x")->inflight().size(), 1U);
    bed["1"].abort();  // the end of the old one must not touch the new one
    bed["2"].send(puback(1) + pingreq()).expect(pingresp());
    EXPECT_EQ(bed.session_of("x")->inflight().size(), 0U);
    bed.expect_consistent();
}

TEST(take_over, keeps_order_across_connections) {
    broker_settings settings;
    settings.output_high_water = 100;
    broker_bed bed(settings);
    bed["1"].login(persistent).subscribe("t", 1);
    bed["1"].stop_reading();
    for (int i = 0; i < 5; ++i)
        bed.publish("t", std::string(60, static_cast<char>('a' + i)), qos::at_least_once);
    bed["2"].login(persistent, true);
    std::string order;
    for (const bytes& one : bed["2"].take_packets())
        order += static_cast<char>(one.back());
    EXPECT_EQ(order, "abcde");
}

TEST(will, follows_what_the_client_published_before) {
    broker_bed bed;
    bed["watch"].login({.client_id = "watch"}).subscribe("t");
    bed["c"].login({.client_id = "c", .will = {{"t", "last"}}});
    bed["c"].send(publish({.topic = "t", .payload = "first"}) + wire("30 05 00"));
    bed["c"].abort();
    bed["watch"].expect(publish({.topic = "t", .payload = "first"}) +
                        publish({.topic = "t", .payload = "last"}));
    bed["watch"].expect_nothing();
}

TEST(will, reaches_the_kept_session_of_its_own_client) {
    broker_bed bed;
    connect_spec who = persistent;
    who.will = {{"t", "gone", 1}};
    bed["1"].login(who).subscribe("t", 1);
    bed["1"].abort();
    bed["2"].login(persistent, true);
    bed["2"].expect(publish({.topic = "t", .payload = "gone", .level = 1, .packet_id = 1}));
    bed["2"].send(puback(1)).abort();
    bed["3"].login(persistent, true).expect_nothing();  // it had no will any more
}

TEST(will, of_a_chain_of_wills_is_published_once_each) {
    broker_bed bed;
    bed["watch"].login({.client_id = "watch"}).subscribe("w/#", 1);
    for (const std::string id : {"a", "b", "c"})
        bed[id].login({.client_id = id, .will = {{"w/" + id, "gone", 1, true}}});
    bed.abort_all();
    EXPECT_EQ(bed.core.routes().retained().size(), 3U);
    bed.expect_consistent();
}

// 3.1.1:MQTT-3.1.2-10@server
TEST(will, is_forgotten_at_disconnect) {
    broker_bed bed;
    bed["watch"].login({.client_id = "watch"}).subscribe("#");
    bed["c"].login({.client_id = "c", .will = {{"t", "gone"}}}).send(disconnect());
    bed["c"].expect_closed();
    bed["watch"].expect_nothing();
    EXPECT_EQ(bed.hooks.reasons, std::vector{reason_code::success});
}

TEST(will, of_a_server_topic_is_not_published) {
    broker_bed bed;
    bed["watch"].login({.client_id = "watch"}).subscribe("$SYS/#");
    bed["c"].login({.client_id = "c", .will = {{"$SYS/x", "gone"}}}).abort();
    bed["watch"].expect_nothing();
}

TEST(shutdown, closes_every_connection) {
    broker_bed bed;
    bed["clean"].login({.client_id = "clean", .will = {{"w", "gone", 0, true}}});
    bed["kept"].login(persistent).subscribe("w", 1);
    bed["slow"].login({.client_id = "slow"}).subscribe("w").stop_reading();
    bed["silent"].expect_nothing();
    bed.shutdown();
    for (const std::string name : {"clean", "silent"})
        bed[name].expect_closed();
    EXPECT_TRUE(bed["kept"].closed_by_broker());
    EXPECT_EQ(bed.core.routes().retained().size(), 1U);
    EXPECT_EQ(bed.core.sessions().size(), 1U);
    EXPECT_EQ(bed.core.stats().clients_connected, 0U);
    EXPECT_EQ(bed.core.stats().clients_maximum, 3U);
    bed["clean"].send(connect({.client_id = "clean"})).expect_nothing();
    bed.shutdown();  // again
    bed.expect_consistent();
}

TEST(hook_mask, keeps_events_from_who_does_not_want_them) {
    broker_bed bed;
    bed.hooks.want_nothing();
    bed.hooks.want({hook::client_disconnected});
    bed["c"].login({.client_id = "c"}).send(disconnect());
    EXPECT_EQ(bed.hooks.events, texts{"disconnected c"});
}

TEST(statistics, count_bytes_and_messages) {
    broker_bed bed;
    const bytes hello = connect({.client_id = "c"});
    const bytes message = publish({.topic = "t", .payload = "p"});
    bed["c"].login({.client_id = "c"}).subscribe("t").send(message).expect(message);
    const broker_stats& stats = bed.core.stats();
    EXPECT_EQ(stats.bytes_received, hello.size() + 8 + message.size());
    EXPECT_EQ(stats.bytes_sent, 4 + 5 + message.size());
    EXPECT_EQ(stats.publish_received, 1U);
    EXPECT_EQ(stats.publish_sent, 1U);
    EXPECT_EQ(stats.connections, 1U);
}

TEST(closed_connection, ignores_what_still_comes) {
    broker_bed bed;
    bed["watch"].login({.client_id = "watch"}).subscribe("#");
    peer& c = bed["c"].login({.client_id = "c"}).stop_reading();
    c.send(pingreq() + wire("00 00") + publish({.topic = "t"}));
    EXPECT_TRUE(c.is_open());  // the answer to the ping has not left
    c.send(publish({.topic = "t"}));
    bed.advance(1s);
    bed["watch"].expect_nothing();
    c.read_on();
    c.expect(pingresp()).expect_closed();
}

}  // namespace
}  // namespace amqtt::test
