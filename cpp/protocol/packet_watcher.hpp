#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace amqtt {

// Is shown the packets of a connection as they are on the wire.
class packet_watcher {
  public:
    virtual ~packet_watcher() = default;

    virtual void packet_received(bytes_view packet) = 0;
    virtual void packet_sent(bytes_view packet) = 0;
};

// Packets of a connection since somebody looked last.
struct packet_counts {
    std::uint32_t received = 0;
    std::uint32_t sent = 0;
};

}  // namespace amqtt
