#include "protocol/packet_reader.hpp"

#include <algorithm>
#include <utility>

namespace amqtt {
namespace {

result<std::optional<frame>> as_result(const framing& found) {
    switch (found.state) {
        case framing::status::malformed:
            return malformed("Remaining Length exceeds four bytes");
        case framing::status::too_large:
            return protocol_violation{reason_code::packet_too_large, "packet too large"};
        case framing::status::complete:
            return std::optional<frame>(found.packet);
        case framing::status::incomplete:
            break;
    }
    return std::optional<frame>();
}

}  // namespace

result<std::optional<frame>> packet_reader::next() {
    drop_tail_packet();
    if (tail_.get()) return next_from_tail();
    const framing found = next_frame(input_, max_size_);
    if (found.state == framing::status::complete) input_ = input_.subspan(found.packet.size);
    return as_result(found);
}

result<std::optional<frame>> packet_reader::next_from_tail() {
    tail& rest = tail_.make();
    while (true) {
        const bytes_view kept = rest.waiting();
        const framing found = next_frame(kept, max_size_);
        if (found.state == framing::status::complete) rest.packet = found.packet.size;
        if (found.state != framing::status::incomplete || input_.empty()) return as_result(found);
        // Take over no more than completes the packet, so that the next one is not copied.
        take_over(std::min(found.needed - kept.size(), input_.size()), found.needed);
    }
}

std::optional<frame> packet_reader::second() const noexcept {
    const framing first = next_frame(input_, max_size_);
    if (first.state != framing::status::complete) return std::nullopt;
    const framing found = next_frame(input_.subspan(first.packet.size), max_size_);
    if (found.state != framing::status::complete) return std::nullopt;
    return found.packet;
}

void packet_reader::take_over(std::size_t n, std::size_t expected) {
    tail& rest = tail_.make();
    rest.bytes.drop_front(std::exchange(rest.head, 0));
    rest.bytes.append(input_.first(n), expected);
    input_ = input_.subspan(n);
}

std::optional<std::uint8_t> packet_reader::first() const noexcept {
    const bytes_view kept = tail_->waiting().subspan(tail_->packet);
    if (!kept.empty()) return kept.front();
    return input_.empty() ? std::nullopt : std::optional(input_.front());
}

void packet_reader::clear() noexcept {
    tail_.reset();
    input_ = {};
}

void packet_reader::drop_tail_packet() {
    tail* const rest = tail_.get();
    if (!rest) return;
    rest->head += std::exchange(rest->packet, 0);
    if (rest->head == rest->bytes.size()) tail_.reset();
}

void packet_reader::stash() {
    drop_tail_packet();
    if (input_.empty()) return;
    const framing found = next_frame(input_, max_size_);
    const bool is_part = !tail_.get() && found.state == framing::status::incomplete;
    take_over(input_.size(), is_part ? found.needed : 0);
}

}  // namespace amqtt
