#pragma once

#include <cstdint>

#include <boost/unordered/unordered_flat_map.hpp>

#include "session/inflight_window.hpp"
#include "session/packet_id_set.hpp"

namespace amqtt {

// Session State of a client, as the client itself keeps it (section 4.1). Outlives network
// connections.
struct client_state {
    inflight_window inflight;
    packet_id_set received_qos2;
    // SUBSCRIBE and UNSUBSCRIBE without their answer: ticket by packet identifier.
    boost::unordered_flat_map<std::uint16_t, std::uint64_t> requests;

    // An identifier neither in flight nor of a request, or 0 when all are taken.
    std::uint16_t next_packet_id() {
        if (inflight.size() + requests.size() >= 65'535) return 0;
        std::uint16_t id = inflight.next_packet_id();
        while (requests.contains(id))
            id = inflight.next_packet_id();
        return id;
    }
};

}  // namespace amqtt
