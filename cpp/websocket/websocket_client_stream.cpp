#include "websocket/websocket_client_stream.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <openssl/rand.h>

namespace amqtt {
namespace {

constexpr std::size_t nonce_size = 16;
constexpr std::uint8_t mask_bit = 0x80;

constexpr const char* no_random_numbers = "OpenSSL has no random numbers for WebSocket";

// False when OpenSSL has none.
template <std::size_t Size>
bool fill_randomly(std::array<std::uint8_t, Size>& bytes) {
    return RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1;
}

}  // namespace

websocket_client_stream::websocket_client_stream(std::unique_ptr<stream> lower,
                                                 const websocket_request_settings& settings)
    : lower_(std::move(lower)) {
    std::array<std::uint8_t, nonce_size> nonce{};
    if (!fill_randomly(nonce)) problem_ = no_random_numbers;
    request_ = std::make_unique<websocket_request>(settings, nonce);
    pending_ = request_->text();
}

// -- input

io_result websocket_client_stream::read(std::span<std::uint8_t> buffer) {
    const io_result got = lower_->read(buffer);
    if (got.status != io_status::done || got.size == 0) return got;
    if (state_ == state::ended) return {io_status::want_read, 0, {}};
    std::span<std::uint8_t> input = buffer.first(got.size);
    if (state_ == state::opening) input = upgrade(input);
    if (!problem_.empty()) return {io_status::failed, 0, {}};
    if (state_ == state::opening) return {io_status::want_read, 0, {}};
    const std::size_t size = decoder_.decode(input);
    if (size > 0 && input.data() != buffer.data()) {
        std::memmove(buffer.data(), input.data(), size);
    }
    answer_control_frames();
    if (size > 0) return {io_status::done, size, {}};
    if (!problem_.empty()) return {io_status::failed, 0, {}};
    if (state_ == state::ended) return {};  // the server has closed
    return {io_status::want_read, 0, {}};
}

// Returns what follows the answer.
std::span<std::uint8_t> websocket_client_stream::upgrade(std::span<std::uint8_t> input) {
    const std::size_t taken = request_->receive(input);
    if (request_->status() == websocket_request::state::reading) return {};
    if (request_->status() == websocket_request::state::accepted) {
        state_ = state::open;
    } else {
        problem_ = request_->problem();
    }
    request_.reset();
    return input.subspan(taken);
}

void websocket_client_stream::answer_control_frames() {
    if (decoder_.has_ping()) {
        pong_ = decoder_.take_ping();
        pong_waits_ = true;
    }
    if (decoder_.status() == websocket_decoder::state::open) return;
    state_ = state::ended;
    if (decoder_.status() == websocket_decoder::state::failed) {
        problem_ = std::string("the server broke the rules of WebSocket: ") + decoder_.what();
    }
    queue_close(decoder_.code());
}

void websocket_client_stream::queue_close(websocket_close code) {
    if (close_waits_ || close_begun_) return;
    const auto number = static_cast<std::uint16_t>(code);
    close_.clear();
    if (code != websocket_close::none) {
        close_ = {static_cast<char>(number >> 8), static_cast<char>(number & 0xFF)};
    }
    close_waits_ = true;
}

// -- output

io_result websocket_client_stream::write(std::span<const bytes_view> slices) {
    if (pending_.empty()) fill(slices);
    if (!problem_.empty() && state_ != state::ended) return {io_status::failed, 0, {}};
    if (pending_.empty())
        return {state_ == state::opening ? io_status::want_read : io_status::done, 0, {}};
    while (sent_ < pending_.size()) {
        const bytes_view rest = as_bytes(pending_).subspan(sent_);
        const io_result result = lower_->write(std::span(&rest, 1));
        sent_ += result.size;
        if (result.status != io_status::done) return {result.status, 0, result.error};
    }
    pending_.clear();
    sent_ = 0;
    return {io_status::done, std::exchange(framed_, 0), {}};
}

void websocket_client_stream::fill(std::span<const bytes_view> slices) {
    if (state_ == state::opening || close_begun_) return;
    if (frame_left_ == 0) {
        if (std::exchange(pong_waits_, false)) append_control(websocket_opcode::pong, pong_);
        if (std::exchange(close_waits_, false)) {
            append_control(websocket_opcode::close, close_);
            close_begun_ = true;
            return;
        }
    }
    slice_reader in(slices);
    while (!in.at_end() && framed_ < largest_frame) {
        if (frame_left_ == 0) {
            frame_left_ = cutter_.next_frame(in, framed_ == 0);
            if (frame_left_ == 0) break;
            append_header(websocket_opcode::binary, frame_left_);
        }
        const bytes_view piece = in.piece(std::min(frame_left_, largest_frame - framed_));
        append_masked(piece);
        in.skip(piece.size());
        frame_left_ -= piece.size();
        framed_ += piece.size();
    }
}

void websocket_client_stream::append_control(websocket_opcode opcode, std::string_view payload) {
    append_header(opcode, payload.size());
    append_masked(as_bytes(payload));
}

void websocket_client_stream::append_header(websocket_opcode opcode, std::size_t payload) {
    std::array<std::uint8_t, websocket_header_size> header;
    const std::size_t header_size = write_websocket_header(header.data(), opcode, payload);
    header[1] |= mask_bit;
    // (RFC 6455, 5.3) A call for each mask would cost more than all else that is done for a frame.
    if (random_left_ == 0) {
        if (!fill_randomly(random_)) {  // they have to be unpredictable
            problem_ = no_random_numbers;
            return;
        }
        random_left_ = random_.size();
    }
    random_left_ -= mask_.size();
    std::copy_n(random_.begin() + static_cast<std::ptrdiff_t>(random_left_), mask_.size(),
                mask_.begin());
    mask_at_ = 0;
    pending_ += as_text(bytes_view(header).first(header_size));
    pending_ += as_text(mask_);
}

void websocket_client_stream::append_masked(bytes_view payload) {
    std::array<std::uint8_t, 4> turned{};
    for (std::size_t i = 0; i < turned.size(); ++i)
        turned[i] = mask_[(mask_at_ + i) % mask_.size()];
    const std::size_t begin = pending_.size();
    pending_ += as_text(payload);
    for (std::size_t i = 0; i < payload.size(); ++i)
        pending_[begin + i] = static_cast<char>(pending_[begin + i] ^ turned[i % turned.size()]);
    mask_at_ = (mask_at_ + payload.size()) % mask_.size();
}

bool websocket_client_stream::has_output() const noexcept {
    const bool control_waits = state_ != state::opening && !close_begun_ && frame_left_ == 0 &&
                               (pong_waits_ || close_waits_);
    return !pending_.empty() || control_waits || lower_->has_output();
}

io_status websocket_client_stream::shutdown_send() {
    if (state_ == state::open) queue_close(end_code_);
    while (has_output()) {
        const io_result sent = write({});
        if (sent.status != io_status::done) return sent.status;
    }
    return lower_->shutdown_send();
}

std::string websocket_client_stream::problem() const {
    return problem_.empty() ? lower_->problem() : problem_;
}

}  // namespace amqtt
