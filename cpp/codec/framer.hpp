// Finds where a control packet ends.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "codec/packet_type.hpp"
#include "codec/protocol_version.hpp"
#include "codec/tolerance.hpp"

namespace amqtt {

// A control packet cut out of the stream; its body is not checked yet.
struct frame {
    packet_type type = packet_type::reserved;
    std::uint8_t flags = 0;  // low four bits of the first byte
    bytes_view body;         // what Remaining Length counts
    std::size_t size = 0;    // the whole packet
    // Remaining Length has as few bytes as it can (5.0: MQTT-1.5.5-1).
    bool has_shortest_length = true;
};

struct framing {
    enum class status : std::uint8_t { complete, incomplete, malformed, too_large };

    status state = status::incomplete;
    frame packet;            // when complete
    std::size_t needed = 0;  // when incomplete: bytes in all, as far as is known yet
};

// Looks for one packet at the start of data. max_size counts the whole packet.
framing next_frame(bytes_view data, std::size_t max_size) noexcept;

// What is wrong with the flags or the length of a packet, or nullptr. The flags of PUBLISH are the
// business of decode_publish().
const char* fixed_header_problem(const frame& packet, protocol_version version,
                                 tolerances tolerated) noexcept;

}  // namespace amqtt
