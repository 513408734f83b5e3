#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "codec/connect.hpp"
#include "session/will.hpp"

namespace amqtt {

// A CONNECT that outlives its packet, because the decision on it may take time.
struct connect_request {
    explicit connect_request(const connect_packet& packet)
        : version(packet.version),
          client_id(packet.client_id),
          clean_start(packet.clean_start),
          keep_alive(packet.keep_alive) {
        if (packet.user_name) user_name.emplace(*packet.user_name);
        if (packet.password) password.emplace(as_text(*packet.password));
        if (packet.will) will.emplace(*packet.will);
    }

    protocol_version version;
    std::string client_id;  // the assigned one if the client sent none
    bool clean_start;
    std::uint16_t keep_alive;
    std::optional<std::string> user_name;
    std::optional<std::string> password;  // any bytes
    std::optional<will_message> will;
};

}  // namespace amqtt
