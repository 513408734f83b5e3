#pragma once

#include <cstdint>

#include <boost/unordered/unordered_flat_set.hpp>

namespace amqtt {

// Packet identifiers of received QoS 2 messages whose PUBREL has not come yet.
using packet_id_set = boost::unordered_flat_set<std::uint16_t>;

}  // namespace amqtt
