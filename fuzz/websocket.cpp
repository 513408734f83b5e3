// A WebSocket connection gives the same payload and the same end, however its bytes are cut.
#include <string>
#include <vector>

#include "allocations.hpp"
#include "input.hpp"
#include "websocket/websocket_frames.hpp"
#include "websocket/websocket_upgrade.hpp"

namespace {

using namespace amqtt;

struct outcome {
    std::string response;
    std::string payload;
    websocket_upgrade::state upgrade = websocket_upgrade::state::reading;
    websocket_decoder::state frames = websocket_decoder::state::open;
    websocket_close code = websocket_close::none;

    friend bool operator==(const outcome&, const outcome&) = default;
};

class connection {
  public:
    explicit connection(bool upgraded) {
        if (upgraded) seen_.upgrade = websocket_upgrade::state::accepted;
    }

    void receive(bytes_view piece) {
        if (seen_.upgrade == websocket_upgrade::state::reading) {
            piece = piece.subspan(upgrade_.receive(piece));
            seen_.upgrade = upgrade_.status();
            seen_.response = upgrade_.response();
        }
        if (seen_.upgrade != websocket_upgrade::state::accepted) return;
        std::vector<std::uint8_t> buffer(piece.begin(), piece.end());
        const std::size_t size = decoder_.decode(buffer);
        fuzz::check(size <= buffer.size());
        seen_.payload += as_text(bytes_view(buffer).first(size));
        seen_.frames = decoder_.status();
        seen_.code = decoder_.code();
        if (decoder_.has_ping()) fuzz::check(decoder_.take_ping().size() <= websocket_control_size);
    }

    const outcome& seen() const noexcept { return seen_; }

  private:
    const websocket_settings settings_{"/mqtt", {"https://a.example"}};
    websocket_upgrade upgrade_{settings_};
    websocket_decoder decoder_;
    outcome seen_;
};

outcome feed_in_pieces(bytes_view stream, bytes_view cuts, bool upgraded) {
    connection peer(upgraded);
    for (std::size_t i = 0; !stream.empty(); ++i) {
        const std::size_t wanted = i < cuts.size() ? cuts[i] % 16U : stream.size();
        const bytes_view piece = stream.first(std::min(wanted, stream.size()));
        stream = stream.subspan(piece.size());
        peer.receive(piece);
    }
    return peer.seen();
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const bool upgraded = (in.byte() & 1U) != 0;
    const bytes_view cuts = in.bytes(in.byte() % 32U);
    const bytes_view stream = in.rest();
    const fuzz::allocation_bound bound(size);
    fuzz::check(feed_in_pieces(stream, cuts, upgraded) == feed_in_pieces(stream, {}, upgraded));
    return 0;
}
