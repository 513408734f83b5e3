// The opening handshake of RFC 6455, a client's side, without I/O.
#pragma once

#include <cstddef>
#include <string>

#include "base/bytes.hpp"
#include "bridge/client_messages.hpp"

namespace amqtt {

class websocket_request {
  public:
    enum class state : std::uint8_t { reading, accepted, refused };

    static constexpr std::size_t largest_response = 16 * 1024;

    // nonce: 16 bytes that nobody can guess.
    websocket_request(const websocket_request_settings& settings, bytes_view nonce);

    // What to send first.
    const std::string& text() const noexcept { return text_; }
    // Takes the next bytes of the server; returns how many of them belonged to its answer.
    std::size_t receive(bytes_view input);

    state status() const noexcept { return state_; }
    // Refused: why.
    const std::string& problem() const noexcept { return problem_; }

  private:
    void decide();
    void refuse(std::string why);

    state state_ = state::reading;
    std::string key_;
    std::string text_;
    std::string response_;
    std::string problem_;
};

// What a server proves with that it has read the key of a handshake (RFC 6455, 4.2.2); and bytes
// in base64.
std::string websocket_accept(std::string_view key);
std::string to_base64(bytes_view data);

}  // namespace amqtt
