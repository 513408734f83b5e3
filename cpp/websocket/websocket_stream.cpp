#include "websocket/websocket_stream.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace amqtt {
namespace {

// A piece of payload of that size is sent from where it is instead of being copied.
constexpr std::size_t sent_in_place = 4096;

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
                                   const websocket_settings& settings,
                                   std::span<std::uint8_t> scratch)
    : lower_(std::move(lower)),
      upgrade_(std::make_unique<websocket_upgrade>(settings)),
      scratch_(scratch) {}

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
    if (slices.empty()) owed_ = 0;
    if (at_.is_between_frames() && owed_ == 0) take_control_frames();
    if (!pending_.empty()) return write_pending();
    const slice_reader in(slices);
    const bool is_open = !close_begun_ && state_ != state::refused && state_ != state::opening;
    if (at_.is_between_frames() && !is_open) {
        return {io_status::done, size_of(slices), {}};  // nothing may go out: as good as sent
    }
    if (in.at_end()) return {};
    batch out;
    progress end = at_;
    fill(out, end, in);
    io_result result = lower_->write(std::span(out.slices).first(out.count));
    owed_ = result.status == io_status::done ? 0 : out.size;
    if (result.size == out.size) {
        at_ = end;
        result.size = out.payload;
    } else {
        result.size = advance(result.size, in);
    }
    return result;
}

void websocket_stream::take_control_frames() {
    if (state_ == state::opening || state_ == state::refused || close_begun_) return;
    pending_ += pong_;
    pong_.clear();
    if (close_.empty()) return;
    pending_ += close_;
    close_begun_ = true;
}

io_result websocket_stream::write_pending() {
    const bytes_view all = as_bytes(pending_);
    io_result result = lower_->write(std::span(&all, 1));
    pending_.erase(0, result.size);
    result.size = 0;
    return result;
}

bool websocket_stream::progress::begin_frame(const slice_reader& in, bool at_once) noexcept {
    payload_left = cutter.next_frame(in, at_once);
    if (payload_left == 0) return false;
    header_size = write_websocket_header(header.data(), websocket_opcode::binary, payload_left);
    header_at = 0;
    return true;
}

// Small packets are put together with their headers, so that however many there are take one call
// of the system.
void websocket_stream::fill(batch& out, progress& at, slice_reader in) const {
    std::size_t used = 0;
    std::size_t run = 0;  // where in scratch the slice begins that is being put together
    const auto close_run = [&] {
        if (used > run) out.slices[out.count++] = scratch_.subspan(run, used - run);
        run = used;
    };
    const auto copy = [&](bytes_view data) {
        std::memcpy(scratch_.data() + used, data.data(), data.size());
        used += data.size();
        out.size += data.size();
    };
    // Room for the run, a piece and what follows it.
    while (!in.at_end() && out.count + 2 < out.slices.size()) {
        if (scratch_.size() - used < websocket_header_size) break;
        if (at.is_between_frames()) {
            // A control frame goes first, but not before what has to be offered again.
            if (control_waits() && out.size > 0 && out.size >= owed_) break;
            if (!at.begin_frame(in, out.size == 0)) break;
        }
        copy(bytes_view(at.header).subspan(at.header_at, at.header_size - at.header_at));
        at.header_at = at.header_size;
        bytes_view piece = in.piece(at.payload_left);
        if (piece.size() >= sent_in_place) {
            close_run();
            out.slices[out.count++] = piece;
            out.size += piece.size();
        } else {
            piece = piece.first(std::min(piece.size(), scratch_.size() - used));
            copy(piece);
        }
        in.skip(piece.size());
        at.payload_left -= piece.size();
        out.payload += piece.size();
    }
    close_run();
}

std::size_t websocket_stream::advance(std::size_t n, slice_reader in) {
    std::size_t payload = 0;
    bool is_first = true;
    while (n > 0) {
        if (at_.is_between_frames() && !at_.begin_frame(in, is_first)) break;
        is_first = false;
        const std::size_t of_header = std::min(n, at_.header_size - at_.header_at);
        at_.header_at += of_header;
        n -= of_header;
        const std::size_t of_payload = in.skip(std::min(n, at_.payload_left));
        at_.payload_left -= of_payload;
        n -= of_payload;
        payload += of_payload;
        if (of_header + of_payload == 0) break;
    }
    return payload;
}

bool websocket_stream::has_input() const noexcept {
    return end_waits_ || lower_->has_input();
}

bool websocket_stream::has_output() const noexcept {
    return !pending_.empty() || (at_.is_between_frames() && control_waits()) ||
           lower_->has_output();
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
