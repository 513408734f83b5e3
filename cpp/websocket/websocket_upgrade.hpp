// The opening handshake of RFC 6455, the server's side, without I/O.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace amqtt {

struct websocket_settings {
    std::string path;                  // the only one that is served; empty: any
    std::vector<std::string> origins;  // web pages that may connect; empty: any
};

class websocket_upgrade {
  public:
    enum class state : std::uint8_t { reading, accepted, refused };

    static constexpr std::size_t largest_request = 8 * 1024;

    // settings must outlive this.
    explicit websocket_upgrade(const websocket_settings& settings) noexcept : settings_(settings) {}

    // Takes the next bytes; returns how many of them belonged to the request.
    std::size_t receive(bytes_view input);

    state status() const noexcept { return state_; }
    // Accepted or refused: what to send.
    const std::string& response() const noexcept { return response_; }
    // Refused: why, for the log.
    const std::string& problem() const noexcept { return problem_; }

  private:
    void decide();
    void refuse(const char* status, const std::string& why, const char* header = "");

    const websocket_settings& settings_;
    state state_ = state::reading;
    std::string request_;
    std::string response_;
    std::string problem_;
};

}  // namespace amqtt
