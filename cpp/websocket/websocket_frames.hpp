// The frames of RFC 6455 without I/O: the peer's frames in, payload out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/reason_code.hpp"

namespace amqtt {

enum class websocket_opcode : std::uint8_t {
    continuation = 0,
    text = 1,
    binary = 2,
    close = 8,
    ping = 9,
    pong = 10,
};

enum class websocket_close : std::uint16_t {
    none = 0,  // no close, or a Close frame without a code
    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    unsupported_data = 1003,
    invalid_text = 1007,
    policy_violation = 1008,
    message_too_big = 1009,
    internal_error = 1011,
    try_again_later = 1013,
};

// The code that says most nearly what a reason of MQTT says. A client of MQTT 3 learns no more.
websocket_close close_code_for(reason_code reason) noexcept;

// Longest header of a frame without a mask, which a client appends.
constexpr std::size_t websocket_header_size = 10;
// Longest payload of Close, Ping and Pong.
constexpr std::size_t websocket_control_size = 125;

// Writes the header of a whole, unfragmented message to out, which must have room for
// websocket_header_size bytes; returns its size.
std::size_t write_websocket_header(std::uint8_t* out, websocket_opcode opcode,
                                   std::uint64_t payload) noexcept;

// Takes the frames apart as they come in, in pieces of any size. Memory does not grow with the
// length of a frame: payload is passed on at once.
class websocket_decoder {
  public:
    enum class state : std::uint8_t { open, closed, failed };
    // Whose side this is: frames of clients are masked, frames of servers are not.
    enum class role : std::uint8_t { server, client };

    explicit websocket_decoder(role side = role::server) noexcept : side_(side) {}

    // Takes all of input, up to a Close frame or an error; moves the payload of the binary
    // messages to its front and returns how much that is.
    std::size_t decode(std::span<std::uint8_t> input);

    state status() const noexcept { return state_; }
    // Closed: the code of the peer's Close frame. Failed: the code to answer with.
    websocket_close code() const noexcept { return code_; }
    // Failed: a static text, for the log.
    const char* what() const noexcept { return what_; }

    // A Ping came in: take_ping() gives the payload of the newest.
    bool has_ping() const noexcept { return has_ping_; }
    std::string take_ping();

  private:
    bool header_complete() noexcept;
    void start_frame();
    bool check_opcode(bool final, std::uint8_t opcode);
    bool read_length();
    void end_frame();
    void receive_close();
    void fail(websocket_close code, const char* what) noexcept;
    void unmask(const std::uint8_t* from, std::uint8_t* to, std::size_t size) noexcept;
    bool is_control() const noexcept { return (head_[0] & 0x08) != 0; }
    bool is_masked() const noexcept { return (head_[1] & 0x80) != 0; }

    role side_;

    std::array<std::uint8_t, 14> head_{};
    std::array<std::uint8_t, 4> mask_{};
    std::uint8_t head_size_ = 0;
    std::uint8_t mask_at_ = 0;  // which byte of the mask is next
    bool in_payload_ = false;
    bool in_message_ = false;  // more fragments of a binary message are to come
    bool has_ping_ = false;
    state state_ = state::open;
    websocket_close code_ = websocket_close::none;
    const char* what_ = "";
    std::uint64_t left_ = 0;  // of the payload of this frame
    std::string control_;     // payload of a control frame
    std::string ping_;
};

}  // namespace amqtt
