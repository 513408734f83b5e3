// How a client asks a proxy for a connection, without I/O: HTTP CONNECT (RFC 9110, 9.3.6) and
// SOCKS5 (RFC 1928, RFC 1929).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.hpp"
#include "bridge/client_messages.hpp"

namespace amqtt {

class proxy_handshake {
  public:
    enum class state : std::uint8_t { talking, connected, failed };

    // The connection is to lead to host and port, which the proxy resolves.
    proxy_handshake(const proxy_settings& proxy, std::string host, std::uint16_t port);

    // What is to be sent next; empty: wait for input.
    std::string take_output();
    // How many bytes may be read next, so that none beyond the handshake is taken.
    std::size_t wanted() const noexcept { return wanted_; }
    void receive(bytes_view input);

    state status() const noexcept { return state_; }
    // Failed: why.
    const std::string& problem() const noexcept { return problem_; }

  private:
    enum class step : std::uint8_t { http_response, method, verdict, reply_head, reply_address };

    void begin_http(const proxy_settings& proxy);
    void receive_http();
    void receive_socks();
    void choose_method(std::uint8_t method);
    void request_connection();
    void read_reply_head();
    void expect(step next, std::size_t bytes);
    void fail(std::string why);

    std::string host_;
    std::uint16_t port_;
    std::string user_name_;
    std::string password_;
    std::string output_;
    std::string input_;
    std::string problem_;
    std::size_t wanted_ = 1;
    step step_ = step::http_response;
    state state_ = state::talking;
};

}  // namespace amqtt
