// Peers, clock and policy of a broker that do valid and invalid things in any order. A test draws
// the choices at random, a fuzz target takes them from its input.
#pragma once

#include <functional>

#include "support/broker_bed.hpp"

namespace amqtt::test {

// Chooses a number from 0 to limit - 1.
using chooser = std::function<unsigned(unsigned limit)>;

// Bounds that are reached soon.
broker_settings tight_settings();

// A valid packet of a client, in the form of that version.
bytes any_packet(const chooser& choose, protocol_version version);
bytes any_bytes(const chooser& choose, unsigned most);

// Lets a peer, the clock or the policy do something.
void do_something(const chooser& choose, broker_bed& bed, peer& on);

// Drops every connection, lets all sessions expire, and checks that nothing is left.
void end_all(broker_bed& bed);

}  // namespace amqtt::test
