// Turns the bytes of a connection, as they come, into whole packets. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/kept_bytes.hpp"
#include "base/lazy_ptr.hpp"
#include "base/result.hpp"
#include "codec/framer.hpp"

namespace amqtt {

// A connection between packets holds no memory: only the incomplete tail of what was received
// is kept.
class packet_reader {
  public:
    explicit packet_reader(std::size_t max_packet_size) noexcept : max_size_(max_packet_size) {}

    // Hands over what was read. input must stay valid until stash().
    void receive(bytes_view input) noexcept { input_ = input; }

    // The next whole packet, nothing when more bytes are needed, or what is wrong with the
    // stream. The packet is valid until the next call of next(), receive() or stash().
    result<std::optional<frame>> next();

    // Copies what is left of the input, so that the caller's buffer can be used again.
    void stash();

    // The packet behind the next one, if the input has both. For guesses: what is kept from earlier
    // input is not looked at.
    std::optional<frame> second() const noexcept;

    std::size_t buffered() const noexcept { return tail_->waiting().size() + input_.size(); }
    // The memory that what is kept takes.
    std::size_t footprint() const noexcept { return tail_->bytes.footprint(); }
    // The first byte that was not handed out.
    std::optional<std::uint8_t> first() const noexcept;
    // Forgets all that was received.
    void clear() noexcept;
    void set_max_packet_size(std::size_t size) noexcept { max_size_ = size; }

  private:
    // What was received but not handed out.
    struct tail {
        kept_bytes bytes;
        std::size_t head = 0;    // where in bytes that starts
        std::size_t packet = 0;  // size of the packet at its start, once handed out

        bytes_view waiting() const noexcept { return bytes.view().subspan(head); }
    };

    result<std::optional<frame>> next_from_tail();
    // Moves n bytes of input to the tail, which will have that many in the end.
    void take_over(std::size_t n, std::size_t expected);
    void drop_tail_packet();

    std::size_t max_size_;
    bytes_view input_;
    lazy_ptr<tail> tail_;
};

}  // namespace amqtt
