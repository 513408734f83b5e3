#include "websocket/websocket_packets.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "codec/varint.hpp"

namespace amqtt {
namespace {

std::size_t size_of(slice_reader in) noexcept {
    return in.skip(std::numeric_limits<std::size_t>::max());
}

// The size of the packet that begins there; 0: its length is not complete, or too long.
std::size_t packet_size(const slice_reader& in) noexcept {
    std::array<std::uint8_t, 5> header{};
    const std::size_t size = in.peek(header);
    if (size < 2) return 0;
    const varint_result length = read_varint(bytes_view(header).subspan(1, size - 1));
    return length.status == varint_status::complete ? 1 + length.size + length.value : 0;
}

}  // namespace

void slice_reader::skip_empty() noexcept {
    while (!slices_.empty() && at_ == slices_.front().size()) {
        slices_ = slices_.subspan(1);
        at_ = 0;
    }
}

std::size_t slice_reader::peek(std::span<std::uint8_t> to) const noexcept {
    slice_reader rest = *this;
    std::size_t size = 0;
    while (size < to.size() && !rest.at_end()) {
        const bytes_view next = rest.piece(to.size() - size);
        std::memcpy(to.data() + size, next.data(), next.size());
        size += rest.skip(next.size());
    }
    return size;
}

bytes_view slice_reader::piece(std::size_t most) const noexcept {
    if (slices_.empty()) return {};
    const bytes_view rest = slices_.front().subspan(at_);
    return rest.first(std::min(rest.size(), most));
}

std::size_t slice_reader::skip(std::size_t n) noexcept {
    std::size_t skipped = 0;
    while (n > 0 && !slices_.empty()) {
        const std::size_t part = std::min(n, slices_.front().size() - at_);
        at_ += part;
        n -= part;
        skipped += part;
        skip_empty();
    }
    return skipped;
}

std::size_t packet_cutter::next_frame(const slice_reader& in, bool at_once) noexcept {
    if (packet_left_ == 0 && !is_lost_) {
        packet_left_ = packet_size(in);
        if (packet_left_ == 0) {
            if (!at_once) return 0;
            is_lost_ = true;
        }
    }
    if (is_lost_) return std::min(size_of(in), largest_);
    const std::size_t frame = std::min(packet_left_, largest_);
    packet_left_ -= frame;
    return frame;
}

}  // namespace amqtt
