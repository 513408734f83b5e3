#include "transport/websocket_stream.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace amqtt {
namespace {

// Some clients refuse larger messages, and a Pong has to wait for the end of a frame.
constexpr std::size_t largest_frame = 256 * 1024;
constexpr std::size_t slices_at_once = 65;  // those of write_queue() and a header

std::string whole_frame(websocket_opcode opcode, std::string_view payload) {
    std::array<std::uint8_t, websocket_header_size> header;
    const std::size_t size = write_websocket_header(header.data(), opcode, payload.size());
    std::string frame(as_text(bytes_view(header).first(size)));
    frame += payload;
    return frame;
}

std::size_t size_of(std::span<const bytes_view> slices) noexcept {
    std::size_t size = 0;
    for (const bytes_view slice : slices)
        size += slice.size();
    return size;
}

}  // namespace

websocket_stream::websocket_stream(std::unique_ptr<stream> lower,
                                   const websocket_settings& settings)
    : lower_(std::move(lower)), upgrade_(std::make_unique<websocket_upgrade>(settings)) {}

io_result websocket_stream::read(std::span<std::uint8_t> buffer) {
    if (std::exchange(end_waits_, false)) return {io_status::ended, 0, {}};
    const io_result got = lower_->read(buffer);
    if (got.status != io_status::done || got.size == 0) return got;
    if (state_ == state::refused || state_ == state::ended) return {io_status::want_read, 0, {}};
    std::span<std::uint8_t> input = buffer.first(got.size);
    if (state_ == state::opening) input = upgrade(input);
    if (state_ == state::refused) return {io_status::ended, 0, {}};
    if (state_ == state::opening) return {io_status::want_read, 0, {}};

    const std::size_t size = decoder_.decode(input);
    if (size > 0 && input.data() != buffer.data()) {
        std::memmove(buffer.data(), input.data(), size);
    }
    answer_control_frames();
    if (state_ == state::ended) {
        if (close_begun_) return {};  // both sides have closed
        queue_close(decoder_.code());
        if (size == 0) return {io_status::ended, 0, {}};
        end_waits_ = true;
    }
    return {size > 0 ? io_status::done : io_status::want_read, size, {}};
}

// Returns what follows the request.
std::span<std::uint8_t> websocket_stream::upgrade(std::span<std::uint8_t> input) {
    const std::size_t taken = upgrade_->receive(input);
    if (upgrade_->status() == websocket_upgrade::state::reading) return {};
    const bool accepted = upgrade_->status() == websocket_upgrade::state::accepted;
    state_ = accepted ? state::open : state::refused;
    problem_ = upgrade_->problem();
    pending_ = upgrade_->response();
    upgrade_.reset();
    return input.subspan(taken);
}

void websocket_stream::answer_control_frames() {
    if (decoder_.has_ping()) {
        const std::string payload = decoder_.take_ping();
        // The newest is enough (RFC 6455, 5.5.3): a peer that does not read makes no pile of them.
        if (!close_begun_) pong_ = whole_frame(websocket_opcode::pong, payload);
    }
    if (decoder_.status() == websocket_decoder::state::open) return;
    state_ = state::ended;
    // Some clients answer our Close with one that is not masked: nothing to complain about.
    if (decoder_.status() == websocket_decoder::state::failed && !close_begun_) {
        problem_ = std::string("broke the rules of WebSocket: ") + decoder_.what();
    }
}

void websocket_stream::queue_close(websocket_close code) {
    const auto number = static_cast<std::uint16_t>(code);
    std::string payload;
    if (code != websocket_close::none) {
        payload = {static_cast<char>(number >> 8), static_cast<char>(number & 0xFF)};
    }
    close_ = whole_frame(websocket_opcode::close, payload);
}

io_result websocket_stream::write(std::span<const bytes_view> slices) {
    const std::size_t waiting = size_of(slices);
    if (pending_.empty() && frame_left_ == 0) begin_frame(waiting);
    // Nothing may go out any more: as good as sent.
    if (pending_.empty() && frame_left_ == 0) return {io_status::done, waiting, {}};

    std::array<bytes_view, slices_at_once> out;
    std::size_t count = 0;
    if (!pending_.empty()) out[count++] = as_bytes(pending_);
    std::size_t left = frame_left_;
    for (std::size_t i = 0; i < slices.size() && left > 0 && count < out.size(); ++i) {
        out[count] = slices[i].first(std::min(slices[i].size(), left));
        left -= out[count++].size();
    }
    io_result result = lower_->write(std::span(out).first(count));
    const std::size_t own = std::min(result.size, pending_.size());
    pending_.erase(0, own);
    result.size -= own;
    frame_left_ -= result.size;
    return result;
}

void websocket_stream::begin_frame(std::size_t waiting) {
    if (state_ == state::opening || state_ == state::refused || close_begun_) return;
    pending_ += pong_;
    pong_.clear();
    if (!close_.empty()) {
        pending_ += close_;
        close_begun_ = true;
    } else if (waiting > 0) {
        frame_left_ = std::min(waiting, largest_frame);
        std::array<std::uint8_t, websocket_header_size> header;
        const std::size_t size =
            write_websocket_header(header.data(), websocket_opcode::binary, frame_left_);
        pending_ += as_text(bytes_view(header).first(size));
    }
}

bool websocket_stream::has_input() const noexcept {
    return end_waits_ || lower_->has_input();
}

bool websocket_stream::has_output() const noexcept {
    const bool control_waits = !close_begun_ && (!pong_.empty() || !close_.empty());
    return !pending_.empty() || (frame_left_ == 0 && control_waits) || lower_->has_output();
}

io_status websocket_stream::shutdown_send() {
    if (state_ == state::open && close_.empty()) queue_close(end_code_);
    while (has_output()) {
        const io_result sent = write({});
        if (sent.status != io_status::done) return sent.status;
    }
    // Who begins to close waits for the peer's Close before it ends the connection below.
    return state_ == state::open ? io_status::done : lower_->shutdown_send();
}

std::string websocket_stream::problem() const {
    return problem_.empty() ? lower_->problem() : problem_;
}

}  // namespace amqtt
