// The header of the PROXY protocol, versions 1 and 2, in which a proxy tells whom it connects for.
// Without I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace amqtt {

class proxy_header {
  public:
    enum class state : std::uint8_t { reading, accepted, refused };

    struct source {
        std::string host;  // of a Unix socket "unix:" and its path
        std::uint16_t port = 0;

        friend bool operator==(const source&, const source&) = default;
    };

    // Longest header that is taken. Those of version 1 have at most 107 bytes; version 2 would
    // allow 64 KiB, of which proxies use some hundred bytes.
    static constexpr std::size_t largest = 16 * 1024;

    // Takes the next bytes; returns how many of them belonged to the header.
    std::size_t receive(bytes_view input);

    state status() const noexcept { return state_; }
    // Accepted: whom the connection comes from; nullopt: from the proxy itself, or the proxy
    // does not say.
    const std::optional<source>& peer() const noexcept { return peer_; }
    // Refused: why, for the log.
    const char* problem() const noexcept { return problem_; }

  private:
    // How many bytes there must be before more can be said about the header.
    std::size_t wanted() const noexcept;
    void examine();
    void read_line();
    void read_tcp(std::string_view line, bool v6);
    void read_binary();
    void read_addresses(std::uint8_t family, bytes_view block);
    void check_extensions(bytes_view rest);
    void refuse(const char* why) noexcept;

    state state_ = state::reading;
    std::string text_;
    std::optional<source> peer_;
    const char* problem_ = "";
};

}  // namespace amqtt
