// The inside of client_link.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "client/client_link.hpp"

namespace amqtt {

// Views of encoded, which was checked when it came from Python.
inline properties decoded(const encoded_properties& encoded, property_scope scope) {
    if (encoded.empty()) return {};
    reader in(encoded);
    auto found = properties::decode(in, scope);
    return found ? std::move(*found) : properties();
}

struct client_link::attempt final : packet_watcher {
    attempt(asio::io_context& context, host_resolver& resolver, connect_command what)
        : command(std::move(what)),
          dialer(std::make_shared<client_dialer>(context, resolver, command.settings.endpoint)),
          timer(context) {}

    void packet_received(bytes_view packet) override { show(packet, false); }
    void packet_sent(bytes_view packet) override { show(packet, true); }
    void show(bytes_view packet, bool sent) {
        watched({handle, client_packet_event{sent, {packet.begin(), packet.end()}}});
    }

    connect_command command;
    bool answered = false;  // the connect command
    std::shared_ptr<client_dialer> dialer;
    asio::steady_timer timer;
    event_sink watched;
    client_handle handle = 0;
    std::unique_ptr<stream> transport;  // once connected
    std::optional<client_connection> connection;
    std::optional<std::uint64_t> closing;  // ticket of the disconnect command
    std::vector<std::uint64_t> unsent;     // tickets of publishes at QoS 0
    bool waiting_readable = false;
    bool waiting_writable = false;
    bool flush_requested = false;
    bool paused = false;
};

}  // namespace amqtt
