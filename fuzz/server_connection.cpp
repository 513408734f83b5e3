// The server's side of a connection takes any bytes in any pieces, and ends after a violation.
#include "protocol/server_connection.hpp"

#include <array>
#include <vector>

#include "allocations.hpp"
#include "input.hpp"

namespace {

using namespace amqtt;

constexpr std::size_t largest_packet = 1000;

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

void admit(server_connection& connection, const connect_packet& packet) {
    using id = property_id;
    peer_limits limits;
    limits.maximum_packet_size = packet.props.integer(id::maximum_packet_size, UINT32_MAX);
    limits.topic_alias_maximum =
        static_cast<std::uint16_t>(packet.props.integer(id::topic_alias_maximum, 0));
    connection.set_peer_limits(limits);
    connection.set_own_limits(largest_packet, 8);
    connection.send_connack(false, reason_code::success);
}

// Sends a message back, as to a subscriber.
void echo(server_connection& connection, const publish_packet& received) {
    outgoing_publish packet;
    packet.topic = received.topic;
    packet.payload = received.payload;
    packet.level = received.level;
    packet.packet_id = received.packet_id;
    if (connection.accepts(packet)) connection.send_publish(packet, nullptr);
}

// False when the connection is over.
bool answer(server_connection& connection, const server_event& event) {
    if (const auto* hello = std::get_if<connect_packet>(&event)) {
        admit(connection, *hello);
        return true;
    }
    if (std::holds_alternative<protocol_violation>(event)) {
        connection.send_disconnect(reason_code::protocol_error, "reason");
        return false;
    }
    if (const auto* wish = std::get_if<subscribe_packet>(&event)) {
        const std::vector<reason_code> codes(wish->requests.size(), reason_code::success);
        return connection.send_suback(wish->packet_id, codes);
    }
    if (const auto* wish = std::get_if<unsubscribe_packet>(&event)) {
        const std::vector<reason_code> codes(wish->filters.size(), reason_code::success);
        return connection.send_unsuback(wish->packet_id, codes);
    }
    if (const auto* received = std::get_if<publish_packet>(&event)) {
        fuzz::check(!received->topic.empty());
        echo(connection, *received);
        connection.send_ack(packet_type::puback, 1, reason_code::success);
    }
    return true;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const fuzz::allocation_bound bound(size);
    block_pool pool;
    server_connection connection(largest_packet, pool);
    while (!in.empty()) {
        const bytes_view piece = in.bytes(1U + in.byte());
        const std::vector<std::uint8_t> buffer(piece.begin(), piece.end());
        connection.receive(buffer, instant{0});
        while (true) {
            const server_event event = connection.next();
            if (const auto* const none = std::get_if<no_packet>(&event)) {
                if (!none->input_is_left) break;
                continue;
            }
            if (!answer(connection, event)) return 0;
        }
        drain(connection.output());
        fuzz::check(connection.buffered_input() < largest_packet);
    }
    return 0;
}
