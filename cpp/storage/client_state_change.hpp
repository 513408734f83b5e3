#pragma once

#include <cstdint>

#include "base/message.hpp"
#include "base/reason_code.hpp"

namespace amqtt {

// What has become different in the state of a client, for whoever keeps it elsewhere too.
struct client_state_change {
    enum class kind : std::uint8_t {
        added,            // a message that is to be sent; has ticket and content
        pubrec,           // PUBREC has come; has code
        done,             // the flow of a message that was sent is over
        received,         // a QoS 2 message has come
        released,         // and its PUBREL
        nothing_received  // the server has forgotten all of those
    };
    kind what;
    std::uint16_t packet_id = 0;
    reason_code code = reason_code::success;
    std::uint64_t ticket = 0;
    message_ptr content;
};

}  // namespace amqtt
