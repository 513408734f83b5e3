#include "support/chaos.hpp"

#include <algorithm>
#include <array>
#include <string>

#include <gtest/gtest.h>

#include "codec/auth.hpp"
#include "codec/connect.hpp"
#include "codec/disconnect.hpp"
#include "codec/publish.hpp"
#include "codec/subscribe.hpp"

namespace amqtt::test {
namespace {

constexpr std::array versions{protocol_version::v3_1, protocol_version::v3_1_1,
                              protocol_version::v5_0};
constexpr std::array<std::string_view, 6> topics{"a", "a/b", "$x", "b", "a/b/c", "a/b/c/d/e"};
constexpr std::array<std::string_view, 11> filters{
    "a", "#", "a/+", "+/b/#", "$x", "b#", "+", "$share/g/a", "$share/g/#", "$share/h/+", "///////"};
constexpr std::array<std::string_view, 5> client_ids{"", "c0", "c1", "c2", "c3"};

template <class Choices>
auto one_of(const chooser& choose, const Choices& choices) {
    return choices[choose(static_cast<unsigned>(choices.size()))];
}

bool heads(const chooser& choose) {
    return choose(2) == 1;
}

qos any_level(const chooser& choose) {
    return static_cast<qos>(choose(3));
}

std::uint16_t any_packet_id(const chooser& choose) {
    return static_cast<std::uint16_t>(1 + choose(4));
}

template <class Packet, class... More>
bytes encoded(const Packet& packet, const More&... more) {
    bytes out;
    EXPECT_TRUE(encode(packet, more..., out));
    return out;
}

will_fields any_will(const chooser& choose) {
    will_fields will;
    will.topic = one_of(choose, topics);
    will.payload = as_bytes("gone");
    will.level = any_level(choose);
    will.retain = heads(choose);
    if (heads(choose)) will.props.add(property_id::will_delay_interval, choose(3));
    if (heads(choose)) will.props.add(property_id::message_expiry_interval, choose(3));
    if (heads(choose)) will.props.add("name", "value");
    return will;
}

bytes any_connect(const chooser& choose) {
    connect_packet packet;
    packet.version = one_of(choose, versions);
    packet.client_id = one_of(choose, client_ids);
    packet.clean_start = heads(choose);
    packet.keep_alive = static_cast<std::uint16_t>(choose(3));
    if (heads(choose)) packet.will = any_will(choose);
    if (choose(4) == 0) packet.user_name = "user";
    if (packet.version == protocol_version::v5_0) {
        using id = property_id;
        if (heads(choose)) packet.props.add(id::session_expiry_interval, choose(3));
        if (heads(choose)) packet.props.add(id::receive_maximum, 1 + choose(3));
        if (heads(choose)) packet.props.add(id::topic_alias_maximum, choose(3));
        if (choose(4) == 0) packet.props.add(id::maximum_packet_size, 1 + choose(60));
        if (choose(4) == 0) packet.props.add(id::request_response_information, 1U);
        if (choose(4) == 0) packet.props.add(id::request_problem_information, 0U);
        if (choose(8) == 0) packet.props.add(id::authentication_method, std::string_view("m"));
    }
    return encoded(packet);
}

bytes any_publish(const chooser& choose, protocol_version version) {
    const std::string payload(choose(50), 'p');
    outgoing_publish packet;
    packet.topic = one_of(choose, topics);
    packet.payload = as_bytes(payload);
    packet.level = any_level(choose);
    packet.retain = choose(3) == 0;
    packet.dup = packet.level != qos::at_most_once && choose(4) == 0;
    packet.packet_id = any_packet_id(choose);
    bytes forwarded;
    if (version == protocol_version::v5_0) {
        if (heads(choose)) packet.topic_alias = static_cast<std::uint16_t>(choose(4));
        if (packet.topic_alias != 0 && heads(choose)) packet.topic = {};
        if (heads(choose)) packet.expiry_interval = choose(3);
        if (heads(choose)) {
            EXPECT_TRUE(
                encode_property({property_id::user_property, user_property{"n", "v"}}, forwarded));
        }
        packet.forwarded = forwarded;
    }
    const publish_lengths lengths = lengths_of(packet, version);
    bytes out(lengths.header);
    write_publish_header(out.data(), packet, version, lengths);
    return out + bytes(payload.begin(), payload.end());
}

bytes any_subscribe(const chooser& choose, protocol_version version) {
    subscribe_packet packet;
    packet.packet_id = any_packet_id(choose);
    const unsigned count = 1 + choose(3);
    for (unsigned i = 0; i < count; ++i) {
        subscription_options options;
        options.level = any_level(choose);
        options.no_local = choose(4) == 0;
        options.retain_as_published = heads(choose);
        options.retained = static_cast<retain_handling>(choose(3));
        packet.requests.push_back({one_of(choose, filters), options});
    }
    if (heads(choose)) packet.props.add(property_id::subscription_identifier, 1 + choose(3));
    return encoded(packet, version);
}

bytes any_unsubscribe(const chooser& choose, protocol_version version) {
    unsubscribe_packet packet;
    packet.packet_id = any_packet_id(choose);
    packet.filters = {one_of(choose, filters)};
    return encoded(packet, version);
}

bytes any_ack(const chooser& choose, protocol_version version) {
    static constexpr std::array types{packet_type::puback, packet_type::pubrec, packet_type::pubrel,
                                      packet_type::pubcomp};
    const packet_type type = one_of(choose, types);
    const bool may_fail = type == packet_type::puback || type == packet_type::pubrec;
    const reason_code code =
        may_fail && choose(4) == 0 ? reason_code::quota_exceeded : reason_code::success;
    bytes out(ack_size_max);
    out.resize(write_ack(out.data(), type, any_packet_id(choose), code, version));
    return out;
}

bytes any_disconnect(const chooser& choose, protocol_version version) {
    disconnect_packet packet;
    if (heads(choose)) packet.code = reason_code::disconnect_with_will;
    if (heads(choose)) packet.props.add(property_id::session_expiry_interval, choose(3));
    return encoded(packet, version);
}

bytes any_auth(const chooser& choose) {
    auth_packet packet;
    packet.code =
        heads(choose) ? reason_code::reauthenticate : reason_code::continue_authentication;
    packet.props.add(property_id::authentication_method, std::string_view("m"));
    return encoded(packet, protocol_version::v5_0);
}

authentication_reply any_reply(const chooser& choose) {
    authentication_reply reply;
    reply.outcome = static_cast<authentication_outcome>(choose(4));
    return reply;
}

// The policy answers a question that is pending, or was.
void answer(const chooser& choose, broker_bed& bed) {
    if (bed.hooks.tickets.empty()) return;
    const auto asked = static_cast<unsigned>(bed.hooks.tickets.size());
    const std::size_t which = asked - 1 - choose(std::min(asked, 6U));
    if (heads(choose)) {
        bed.decide(which, choose(3) != 0);
    } else {
        bed.reply(which, any_reply(choose));
    }
}

void go_wrong(const chooser& choose, broker_bed& bed, peer& on) {
    switch (choose(6)) {
        case 0:
            on.abort();
            break;
        case 1:
            on.stop_reading();
            break;
        case 2:
            on.read_on();
            break;
        case 3:
            bed.advance(std::chrono::milliseconds(choose(2000)), true);
            break;
        case 4:
            on.send(any_bytes(choose, 32));
            break;
        default:
            bed.publish("$x", "p", {}, heads(choose));
    }
}

}  // namespace

broker_settings tight_settings() {
    broker_settings settings;
    settings.limits.max_packet_size = 1000;
    settings.limits.topic_alias_maximum = 2;
    settings.limits.receive_maximum = 3;
    settings.max_inflight_messages = 2;
    settings.queue = {4, 200};
    settings.quotas = {5, 4, 4, 3, 100};
    settings.output_high_water = 100;
    settings.session_expiry = std::chrono::seconds(2);
    return settings;
}

bytes any_bytes(const chooser& choose, unsigned most) {
    bytes data(choose(most));
    for (std::uint8_t& byte : data)
        byte = static_cast<std::uint8_t>(choose(256));
    return data;
}

bytes any_packet(const chooser& choose, protocol_version version) {
    switch (choose(16)) {
        case 0:
            return any_connect(choose);
        case 1:
        case 2:
        case 3:
        case 4:
            return any_publish(choose, version);
        case 5:
        case 6:
        case 7:
        case 8:
            return any_ack(choose, version);
        case 9:
        case 10:
        case 11:
            return any_subscribe(choose, version);
        case 12:
            return any_unsubscribe(choose, version);
        case 13:
            return choose(5) == 0 ? any_disconnect(choose, version) : pingreq();
        case 14:
            return any_auth(choose);
        default:
            return pingreq();
    }
}

void do_something(const chooser& choose, broker_bed& bed, peer& on) {
    const unsigned what = choose(16);
    if (what == 0) {
        go_wrong(choose, bed, on);
    } else if (what == 1) {
        answer(choose, bed);
    } else if (!on.core().connection.version_is_known()) {
        on.send(any_connect(choose));
    } else {
        on.send(any_packet(choose, on.core().connection.version()));
    }
}

void end_all(broker_bed& bed) {
    bed.abort_all();
    bed.expect_consistent();
    bed.advance(std::chrono::seconds(5));
    EXPECT_EQ(bed.core.sessions().size(), 0U);
    EXPECT_EQ(bed.core.routes().subscription_count(), 0U);
    EXPECT_EQ(bed.core.stats().clients_connected, 0U);
}

}  // namespace amqtt::test
