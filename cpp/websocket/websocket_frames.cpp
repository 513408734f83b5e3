#include "websocket/websocket_frames.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "codec/utf8.hpp"

namespace amqtt {
namespace {

constexpr std::uint8_t final_bit = 0x80;
constexpr std::uint8_t reserved_bits = 0x70;
constexpr std::uint8_t opcode_bits = 0x0F;
constexpr std::uint8_t length_bits = 0x7F;
constexpr std::uint8_t length_of_2_bytes = 126;
constexpr std::uint8_t length_of_8_bytes = 127;

std::uint64_t big_endian(const std::uint8_t* from, std::size_t size) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i)
        value = value << 8 | from[i];
    return value;
}

// The codes that may be sent (RFC 6455, 7.4.1, 7.4.2, and those registered since).
bool may_be_sent(std::uint16_t code) noexcept {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

}  // namespace

websocket_close close_code_for(reason_code reason) noexcept {
    switch (reason) {
        case reason_code::server_shutting_down:
            return websocket_close::going_away;
        case reason_code::malformed_packet:
        case reason_code::protocol_error:
        case reason_code::unsupported_protocol_version:
        case reason_code::topic_filter_invalid:
        case reason_code::topic_name_invalid:
        case reason_code::receive_maximum_exceeded:
        case reason_code::topic_alias_invalid:
            return websocket_close::protocol_error;
        case reason_code::packet_too_large:
            return websocket_close::message_too_big;
        case reason_code::unspecified_error:
        case reason_code::implementation_specific_error:
            return websocket_close::internal_error;
        case reason_code::server_unavailable:
        case reason_code::server_busy:
            return websocket_close::try_again_later;
        case reason_code::session_taken_over:
            return websocket_close::normal;  // by the same client, most likely
        default:
            return is_failure(reason) ? websocket_close::policy_violation : websocket_close::normal;
    }
}

std::size_t write_websocket_header(std::uint8_t* out, websocket_opcode opcode,
                                   std::uint64_t payload) noexcept {
    out[0] = final_bit | static_cast<std::uint8_t>(opcode);
    std::size_t length_size = 0;
    if (payload < length_of_2_bytes) {
        out[1] = static_cast<std::uint8_t>(payload);
    } else if (payload <= 0xFFFF) {
        out[1] = length_of_2_bytes;
        length_size = 2;
    } else {
        out[1] = length_of_8_bytes;
        length_size = 8;
    }
    for (std::size_t i = 0; i < length_size; ++i)
        out[2 + i] = static_cast<std::uint8_t>(payload >> (8 * (length_size - 1 - i)));
    return 2 + length_size;
}

std::size_t websocket_decoder::decode(std::span<std::uint8_t> input) {
    std::size_t at = 0;
    std::size_t size = 0;
    while (state_ == state::open && (at < input.size() || (in_payload_ && left_ == 0))) {
        if (!in_payload_) {
            head_[head_size_++] = input[at++];
            if (header_complete()) start_frame();
            continue;
        }
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - at));
        if (is_control()) {
            const std::size_t before = control_.size();
            control_.resize(before + n);
            unmask(input.data() + at, reinterpret_cast<std::uint8_t*>(control_.data()) + before, n);
        } else {
            unmask(input.data() + at, input.data() + size, n);
            size += n;
        }
        at += n;
        left_ -= n;
        if (left_ == 0) end_frame();
    }
    return size;
}

std::string websocket_decoder::take_ping() {
    has_ping_ = false;
    return std::exchange(ping_, {});
}

bool websocket_decoder::header_complete() noexcept {
    if (head_size_ < 2) return false;
    if (is_masked() != (side_ == role::server)) return true;  // refused, whatever else it has
    const std::uint8_t length = head_[1] & length_bits;
    std::size_t size = 2 + (is_masked() ? mask_.size() : 0);
    if (length == length_of_2_bytes) size += 2;
    if (length == length_of_8_bytes) size += 8;
    return head_size_ >= size;
}

void websocket_decoder::start_frame() {
    const std::size_t size = std::exchange(head_size_, std::uint8_t{0});
    if ((head_[0] & reserved_bits) != 0) {
        fail(websocket_close::protocol_error, "reserved bit set: no extension is in use");
        return;
    }
    if (!check_opcode((head_[0] & final_bit) != 0, head_[0] & opcode_bits)) return;
    if (is_masked() != (side_ == role::server)) {
        fail(websocket_close::protocol_error,
             is_masked() ? "frame with a mask" : "frame without a mask");
        return;
    }
    if (!read_length()) return;
    if (is_masked()) {
        std::copy_n(head_.begin() + static_cast<std::ptrdiff_t>(size - mask_.size()), mask_.size(),
                    mask_.begin());
    }
    mask_at_ = 0;
    in_payload_ = true;
}

bool websocket_decoder::check_opcode(bool final, std::uint8_t opcode) {
    switch (static_cast<websocket_opcode>(opcode)) {
        case websocket_opcode::close:
        case websocket_opcode::ping:
        case websocket_opcode::pong:
            if (!final) fail(websocket_close::protocol_error, "fragmented control frame");
            break;
        case websocket_opcode::text:
            fail(websocket_close::unsupported_data, "text frame");  // 3.1.1: MQTT-6.0.0-1
            break;
        case websocket_opcode::binary:
            if (in_message_) fail(websocket_close::protocol_error, "message within a message");
            in_message_ = !final;
            break;
        case websocket_opcode::continuation:
            if (!in_message_) fail(websocket_close::protocol_error, "continuation of nothing");
            in_message_ = !final;
            break;
        default:
            fail(websocket_close::protocol_error, "unknown opcode");
            break;
    }
    return state_ == state::open;
}

bool websocket_decoder::read_length() {
    left_ = head_[1] & length_bits;
    if (left_ < length_of_2_bytes) return true;
    const bool is_short = left_ == length_of_2_bytes;
    left_ = big_endian(&head_[2], is_short ? 2 : 8);
    if (is_control()) {
        fail(websocket_close::protocol_error, "control frame of more than 125 bytes");
    } else if (left_ >> 63 != 0) {
        fail(websocket_close::protocol_error, "length of more than 63 bits");
    } else if (left_ < (is_short ? length_of_2_bytes : 0x10000U)) {
        fail(websocket_close::protocol_error, "length in more bytes than needed");
    }
    return state_ == state::open;
}

void websocket_decoder::end_frame() {
    in_payload_ = false;
    if (!is_control()) return;
    const auto opcode = static_cast<websocket_opcode>(head_[0] & opcode_bits);
    if (opcode == websocket_opcode::close) {
        receive_close();
    } else if (opcode == websocket_opcode::ping) {
        ping_ = control_;
        has_ping_ = true;
    }
    control_.clear();
}

void websocket_decoder::receive_close() {
    if (control_.empty()) {
        state_ = state::closed;
        return;
    }
    const bytes_view payload = as_bytes(control_);
    const bool has_code = payload.size() >= 2;
    const auto code = static_cast<std::uint16_t>(has_code ? big_endian(payload.data(), 2) : 0);
    if (!may_be_sent(code)) {
        fail(websocket_close::protocol_error, "Close frame with a bad code");
    } else if (!is_valid_utf8(as_text(payload.subspan(2)))) {
        fail(websocket_close::invalid_text, "Close frame with a reason that is not UTF-8");
    } else {
        state_ = state::closed;
        code_ = static_cast<websocket_close>(code);
    }
}

void websocket_decoder::fail(websocket_close code, const char* what) noexcept {
    state_ = state::failed;
    code_ = code;
    what_ = what;
}

// The two may overlap when `to` is not behind `from`.
void websocket_decoder::unmask(const std::uint8_t* from, std::uint8_t* to,
                               std::size_t size) noexcept {
    if (side_ == role::client) {  // there is none
        if (from != to) std::memmove(to, from, size);
        return;
    }
    std::array<std::uint8_t, 8> pattern;
    for (std::size_t i = 0; i < pattern.size(); ++i)
        pattern[i] = mask_[(mask_at_ + i) % mask_.size()];
    std::uint64_t mask = 0;
    std::memcpy(&mask, pattern.data(), sizeof(mask));
    std::size_t i = 0;
    for (; i + sizeof(mask) <= size; i += sizeof(mask)) {
        std::uint64_t word = 0;
        std::memcpy(&word, from + i, sizeof(word));
        word ^= mask;
        std::memcpy(to + i, &word, sizeof(word));
    }
    for (; i < size; ++i)
        to[i] = from[i] ^ pattern[i % pattern.size()];
    mask_at_ = static_cast<std::uint8_t>((mask_at_ + size) % mask_.size());
}

}  // namespace amqtt
