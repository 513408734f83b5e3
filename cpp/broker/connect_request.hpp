#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codec/connect.hpp"
#include "protocol/server_connection.hpp"
#include "session/session.hpp"
#include "session/will.hpp"

namespace amqtt {

// A CONNECT that outlives its packet, because the decision on it may take time.
struct connect_request {
    explicit connect_request(const connect_packet& packet)
        : version(packet.version),
          client_id(packet.client_id),
          clean_start(packet.clean_start),
          keep_alive(packet.keep_alive) {
        read_properties(packet.props);
        for (const property& p : packet.props.all())
            encode_property(p, encoded_properties);
        if (packet.user_name) user_name.emplace(*packet.user_name);
        if (packet.password) password.emplace(as_text(*packet.password));
        if (packet.will) will = std::make_unique<will_message>(*packet.will);
    }

    protocol_version version;
    std::string client_id;  // the assigned one if the client sent none
    bool clean_start;
    std::uint16_t keep_alive;
    std::optional<std::string> user_name;
    std::optional<std::string> password;  // any bytes
    std::unique_ptr<will_message> will;   // most clients have none

    // MQTT 5.0; in MQTT 3 what their absence means.
    bool id_was_assigned = false;
    bool keep_alive_was_changed = false;  // to the longest the server admits
    std::uint32_t session_expiry_interval = 0;
    std::uint16_t receive_maximum = UINT16_MAX;
    bool wants_response_information = false;
    std::optional<std::string> authentication_method;
    std::string authentication_data;  // for CONNACK
    peer_limits limits;
    std::vector<std::uint8_t> encoded_properties;  // all of them, without their length

  private:
    void read_properties(const properties& props) {
        using id = property_id;
        const std::uint32_t absent =
            version == protocol_version::v5_0 || clean_start ? 0 : never_expires;
        session_expiry_interval = props.integer(id::session_expiry_interval, absent);
        receive_maximum =
            static_cast<std::uint16_t>(props.integer(id::receive_maximum, UINT16_MAX));
        limits.maximum_packet_size = props.integer(id::maximum_packet_size, UINT32_MAX);
        limits.topic_alias_maximum =
            static_cast<std::uint16_t>(props.integer(id::topic_alias_maximum, 0));
        limits.wants_problem_information = props.integer(id::request_problem_information, 1) != 0;
        wants_response_information = props.integer(id::request_response_information, 0) != 0;
        if (props.contains(id::authentication_method)) {
            authentication_method.emplace(props.text(id::authentication_method));
        }
    }
};

}  // namespace amqtt
