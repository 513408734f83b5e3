// A stream has the same packets, and the same fault, however it is cut.
#include <optional>
#include <vector>

#include "allocations.hpp"
#include "input.hpp"
#include "protocol/packet_reader.hpp"

namespace {

using namespace amqtt;

struct outcome {
    std::vector<std::vector<std::uint8_t>> packets;
    std::optional<reason_code> fault;

    friend bool operator==(const outcome&, const outcome&) = default;
};

// False when the stream is faulty.
bool take_packets(packet_reader& feed, outcome& seen) {
    while (true) {
        const auto found = feed.next();
        if (!found) {
            seen.fault = found.error().code;
            return false;
        }
        if (!*found) break;
        const frame& packet = **found;
        std::vector<std::uint8_t> copy{static_cast<std::uint8_t>(packet.type), packet.flags};
        copy.insert(copy.end(), packet.body.begin(), packet.body.end());
        seen.packets.push_back(std::move(copy));
    }
    feed.stash();
    return true;
}

outcome feed_in_pieces(bytes_view stream, bytes_view cuts) {
    packet_reader feed(200);
    outcome seen;
    for (std::size_t i = 0; !stream.empty(); ++i) {
        const std::size_t wanted = i < cuts.size() ? cuts[i] % 16U : stream.size();
        const bytes_view piece = stream.first(std::min(wanted, stream.size()));
        stream = stream.subspan(piece.size());
        const std::vector<std::uint8_t> buffer(piece.begin(), piece.end());
        feed.receive(buffer);
        if (!take_packets(feed, seen)) break;
    }
    return seen;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const bytes_view cuts = in.bytes(in.byte() % 32U);
    const bytes_view stream = in.rest();
    const fuzz::allocation_bound bound(size);
    fuzz::check(feed_in_pieces(stream, cuts) == feed_in_pieces(stream, {}));
    return 0;
}
