#include "server/client_endpoint.hpp"

#include <utility>

namespace amqtt {

client_endpoint::client_endpoint(const broker_context& home, listener& of, peer_info peer)
    : home_(home), of_(of), client_(home.core.open(*this, std::move(peer), home.loop.now())) {}

void client_endpoint::found_peer(std::string address, std::uint16_t port) {
    client_->peer.address = std::move(address);
    client_->peer.port = port;
}

void client_endpoint::ended() {
    if (!std::exchange(broker_knows_, true)) home_.core.closed(*client_, home_.loop.now());
}

void client_endpoint::closed(const std::string& problem) {
    home_.loop.attempt([this] { ended(); });
    home_.owner.connection_closed(*this, problem);
}

}  // namespace amqtt
