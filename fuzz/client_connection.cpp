// The client's side of a connection takes any bytes of a server in any pieces, and asks for
// nothing but what it is told to.
#include "protocol/client_connection.hpp"

#include <array>
#include <string>
#include <vector>

#include "allocations.hpp"
#include "input.hpp"

namespace {

using namespace amqtt;

constexpr std::size_t requests = 8;

void drain(output_queue& out) {
    std::array<bytes_view, 4> slices;
    while (!out.empty()) {
        const std::size_t count = out.gather(slices);
        std::size_t size = 0;
        for (std::size_t i = 0; i < count; ++i)
            size += slices[i].size();
        out.consume(size);
    }
}

// Asks for something that the server may answer.
void request(client_connection& connection, unsigned what, std::uint64_t ticket, instant now) {
    switch (what % 6) {
        case 0:
        case 1:
        case 2: {
            const auto level = static_cast<qos>(what % 3);
            (void)connection.publish(ticket, message::create("a", as_bytes("x"), level, false),
                                     now);
            break;
        }
        case 3: {
            subscribe_packet packet;
            packet.requests.push_back({"a/#", {}});
            (void)connection.subscribe(ticket, packet, now);
            break;
        }
        case 4: {
            unsubscribe_packet packet;
            packet.filters.push_back("a/#");
            (void)connection.unsubscribe(ticket, packet, now);
            break;
        }
        default:
            connection.ping(ticket, now);
    }
}

// False when the connection is over.
bool take_actions(client_connection& connection, std::uint64_t last_ticket, instant now) {
    while (true) {
        const client_action action = connection.next(now);
        if (std::holds_alternative<client_need_input>(action)) return true;
        if (std::holds_alternative<protocol_violation>(action)) return false;
        if (const auto* refused = std::get_if<client_connack>(&action)) {
            if (refused->return_code != 0) return false;
            continue;
        }
        fuzz::check(connection.is_connected() || std::holds_alternative<auth_packet>(action));
        if (const auto* done = std::get_if<client_completed>(&action)) {
            fuzz::check(done->ticket <= last_ticket);
        } else if (const auto* granted = std::get_if<client_subscribed>(&action)) {
            fuzz::check(granted->ticket <= last_ticket);
        } else if (const auto* received = std::get_if<publish_packet>(&action)) {
            fuzz::check(!received->topic.empty());
            // Of use with manual acknowledgement only.
            connection.acknowledge(received->packet_id, reason_code::success, now);
        } else if (std::holds_alternative<auth_packet>(action)) {
            (void)connection.authenticate({reason_code::continue_authentication, {}}, now);
        } else if (std::holds_alternative<disconnect_packet>(action)) {
            return false;
        }
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const fuzz::allocation_bound bound(size);
    block_pool pool;
    client_state state;
    instant now{0};
    std::uint64_t ticket = 0;
    // The session outlives two connections.
    for (int life = 0; life < 2 && !in.empty(); ++life) {
        const std::uint8_t kind = in.byte();
        client_options options;
        options.ping_after = std::chrono::seconds(1);
        options.manual_acknowledgement = (kind & 2U) != 0;
        options.send_maximum = kind % 3 == 0 ? 3 : 65'535;
        options.qos2_maximum = kind % 5 == 0 ? 1 : 65'535;
        client_connection connection(state, pool, options);
        connect_packet hello;
        hello.version = static_cast<protocol_version>(3 + (kind >> 2) % 3);
        hello.client_id = "c";
        hello.clean_start = kind % 2 == 0;
        if (has_properties(hello.version)) {
            hello.props.add(property_id::topic_alias_maximum, 3);
            hello.props.add(property_id::receive_maximum, 5);
            if (kind >= 128) hello.props.add(property_id::authentication_method, "m");
        }
        fuzz::check(connection.connect(hello, now));
        while (!in.empty()) {
            const std::uint8_t what = in.byte();
            if (ticket < requests && what % 4 == 3) request(connection, what / 4, ++ticket, now);
            now += std::chrono::milliseconds(what);
            const bytes_view piece = in.bytes(1U + what);
            const std::vector<std::uint8_t> buffer(piece.begin(), piece.end());
            connection.receive(buffer);
            if (!take_actions(connection, ticket, now) || !connection.advance(now)) break;
            drain(connection.output());
        }
    }
    return 0;
}
