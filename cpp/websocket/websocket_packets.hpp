// Which part of a stream of MQTT packets goes into which WebSocket frame, without I/O.
//
// A frame may hold several packets (MQTT-6.0.0-2), but some clients expect one at most and wait for
// ever with the second. So each packet gets a frame of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.hpp"

namespace amqtt {

// Reads bytes that lie in slices, in pieces that lie together.
class slice_reader {
  public:
    explicit slice_reader(std::span<const bytes_view> slices) noexcept : slices_(slices) {
        skip_empty();
    }

    bool at_end() const noexcept { return slices_.empty(); }
    // Copies the next bytes, as many as there is room for; returns how many that were.
    std::size_t peek(std::span<std::uint8_t> to) const noexcept;
    // What comes next and lies together, `most` bytes of it.
    bytes_view piece(std::size_t most) const noexcept;
    // Goes on behind the next n bytes; returns how many there were.
    std::size_t skip(std::size_t n) noexcept;

  private:
    void skip_empty() noexcept;

    std::span<const bytes_view> slices_;
    std::size_t at_ = 0;  // in the first
};

class packet_cutter {
  public:
    // A packet that is longer is divided.
    explicit packet_cutter(std::size_t largest_frame) noexcept : largest_(largest_frame) {}

    // Begins a frame at `in`, which is where the one before has ended: how many bytes of the stream
    // it is to hold, which may be more than there are yet. 0: that cannot be told before more of
    // the stream is there; with `at_once` the frame then holds what there is.
    std::size_t next_frame(const slice_reader& in, bool at_once) noexcept;

  private:
    std::size_t largest_;
    std::size_t packet_left_ = 0;  // of a packet that was begun, behind the frames so far
    bool is_lost_ = false;         // the stream is not one of packets
};

}  // namespace amqtt
