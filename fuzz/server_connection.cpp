// The server's side of a connection takes any bytes in any pieces, and ends after a violation.
#include "protocol/server_connection.hpp"

#include <array>
#include <vector>

#include "input.hpp"

namespace {

using namespace amqtt;

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

// False when the connection is over.
bool answer(server_connection& connection, const server_event& event) {
    if (std::holds_alternative<connect_packet>(event)) {
        connection.send_connack(false, reason_code::success);
    } else if (const auto* wish = std::get_if<subscribe_packet>(&event)) {
        fuzz::check(connection.is_connected());
        const std::vector<reason_code> codes(wish->requests.size(), reason_code::success);
        connection.send_suback(wish->packet_id, codes);
    } else if (std::holds_alternative<publish_packet>(event)) {
        fuzz::check(connection.is_connected());
        connection.send_ack(packet_type::puback, 1, reason_code::success);
    }
    return !std::holds_alternative<protocol_violation>(event);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    block_pool pool;
    server_connection connection(1000, pool);
    while (!in.empty()) {
        const bytes_view piece = in.bytes(1U + in.byte());
        const std::vector<std::uint8_t> buffer(piece.begin(), piece.end());
        connection.receive(buffer, instant{0});
        while (true) {
            const server_event event = connection.next();
            if (std::holds_alternative<need_input>(event)) break;
            if (!answer(connection, event)) return 0;
        }
        drain(connection.output());
        fuzz::check(connection.buffered_input() < 1000);
    }
    return 0;
}
