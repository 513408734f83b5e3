#include "transport/websocket_client_stream.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <openssl/rand.h>

namespace amqtt {
namespace {

// Also bounds what is copied to be masked.
constexpr std::size_t largest_frame = 64 * 1024;
constexpr std::size_t nonce_size = 16;
constexpr std::uint8_t mask_bit = 0x80;

std::array<std::uint8_t, nonce_size> random_nonce() {
    std::array<std::uint8_t, nonce_size> nonce{};
    RAND_bytes(nonce.data(), static_cast<int>(nonce.size()));
    return nonce;
}

}  // namespace

websocket_client_stream::websocket_client_stream(std::unique_ptr<stream> lower,
                                                 const websocket_request_settings& settings)
    : lower_(std::move(lower)),
      request_(std::make_unique<websocket_request>(settings, random_nonce())),
      pending_(request_->text()) {}

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
    if (pending_.empty()) begin_frame(slices);
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

void websocket_client_stream::begin_frame(std::span<const bytes_view> slices) {
    if (state_ == state::opening || close_begun_) return;
    const auto append_control = [this](websocket_opcode opcode, const std::string& payload) {
        const bytes_view one = as_bytes(payload);
        append_frame(opcode, std::span(&one, 1), one.size());
    };
    if (std::exchange(pong_waits_, false)) append_control(websocket_opcode::pong, pong_);
    if (std::exchange(close_waits_, false)) {
        append_control(websocket_opcode::close, close_);
        close_begun_ = true;
        return;
    }
    std::size_t waiting = 0;
    for (const bytes_view slice : slices)
        waiting += slice.size();
    if (waiting == 0) return;
    framed_ = std::min(waiting, largest_frame);
    append_frame(websocket_opcode::binary, slices, framed_);
}

void websocket_client_stream::append_frame(websocket_opcode opcode,
                                           std::span<const bytes_view> payload, std::size_t size) {
    std::array<std::uint8_t, websocket_header_size> header;
    const std::size_t header_size = write_websocket_header(header.data(), opcode, size);
    header[1] |= mask_bit;
    std::array<std::uint8_t, 4> mask{};
    RAND_bytes(mask.data(), static_cast<int>(mask.size()));  // (RFC 6455, 5.3)
    pending_ += as_text(bytes_view(header).first(header_size));
    pending_ += as_text(mask);
    const std::size_t begin = pending_.size();
    for (const bytes_view slice : payload)
        pending_ += as_text(slice.first(std::min(slice.size(), begin + size - pending_.size())));
    for (std::size_t i = 0; i < size; ++i)
        pending_[begin + i] = static_cast<char>(pending_[begin + i] ^ mask[i % mask.size()]);
}

bool websocket_client_stream::has_output() const noexcept {
    const bool control_waits =
        state_ != state::opening && !close_begun_ && (pong_waits_ || close_waits_);
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
