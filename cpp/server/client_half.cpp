#include "server/client_half.hpp"

#include <utility>

namespace amqtt {

client_half::client_half(const connection_home& home, listener& of, peer_info peer)
    : home_(home), of_(of), client_(home.core.open(*this, std::move(peer), home.loop.now())) {}

void client_half::found_peer(std::string address, std::uint16_t port) {
    client_->peer.address = std::move(address);
    client_->peer.port = port;
}

void client_half::ended() {
    if (!std::exchange(broker_knows_, true)) home_.core.closed(*client_, home_.loop.now());
}

void client_half::closed(const std::string& problem) {
    home_.loop.attempt([this] { ended(); });
    home_.owner.connection_closed(*this, problem);
}

}  // namespace amqtt
