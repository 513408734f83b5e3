#include "codec/framer.hpp"

#include "codec/varint.hpp"

namespace amqtt {

framing next_frame(bytes_view data, std::size_t max_size) noexcept {
    using status = framing::status;
    if (data.size() < 2) return {status::incomplete, {}, 2};
    const varint_result length = read_varint(data.subspan(1));
    if (length.status == varint_status::malformed) return {status::malformed, {}, 0};
    if (length.status == varint_status::incomplete) {
        return {status::incomplete, {}, data.size() + 1};
    }
    const std::size_t header = 1 + length.size;
    const std::size_t whole = header + length.value;
    if (whole > max_size) return {status::too_large, {}, 0};
    if (data.size() < whole) return {status::incomplete, {}, whole};
    frame packet{static_cast<packet_type>(data[0] >> 4), static_cast<std::uint8_t>(data[0] & 0x0F),
                 data.subspan(header, length.value), whole,
                 length.size == varint_size(length.value)};
    return {status::complete, packet, 0};
}

}  // namespace amqtt
