#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/footprint.hpp"
#include "base/lazy_ptr.hpp"
#include "codec/connect.hpp"
#include "protocol/server_connection.hpp"
#include "session/session.hpp"
#include "session/will.hpp"

namespace amqtt {

// A CONNECT that outlives its packet, because the decision on it may take time.
struct connect_request {
    explicit connect_request(const connect_packet& packet)
        : version(packet.version),
          clean_start(packet.clean_start),
          is_bridge(packet.is_bridge),
          keep_alive(packet.keep_alive),
          session_expiry_interval(version == protocol_version::v5_0 || clean_start ? 0
                                                                                   : never_expires),
          client_id(packet.client_id) {
        if (!packet.props.empty()) read_properties(packet.props);
        if (packet.user_name) extras_.make().user_name.emplace(*packet.user_name);
        if (packet.password) extras_.make().password.emplace(as_text(*packet.password));
        if (packet.will) will = std::make_unique<will_message>(*packet.will);
    }

    const std::optional<std::string>& user_name() const noexcept { return extras_->user_name; }
    void set_user_name(std::string name) { extras_.make().user_name = std::move(name); }
    // Any bytes.
    const std::optional<std::string>& password() const noexcept { return extras_->password; }
    const std::optional<std::string>& authentication_method() const noexcept {
        return extras_->authentication_method;
    }
    // For CONNACK.
    std::string_view authentication_data() const noexcept { return extras_->authentication_data; }
    void set_authentication_data(std::string data) {
        extras_.make().authentication_data = std::move(data);
    }
    // All of them, without their length.
    const std::vector<std::uint8_t>& encoded_properties() const noexcept {
        return extras_->encoded_properties;
    }

    // What its parts take of memory, beside itself.
    std::size_t bytes() const noexcept {
        std::size_t sum = text_bytes(client_id) + (will ? will->bytes() : 0);
        if (extras_.is_made()) {
            sum += allocated(sizeof(extras)) + text_bytes(extras_->authentication_data) +
                   allocated(extras_->encoded_properties.capacity());
            for (const auto* text :
                 {&extras_->user_name, &extras_->password, &extras_->authentication_method}) {
                if (*text) sum += text_bytes(**text);
            }
        }
        return sum;
    }

    protocol_version version;
    bool clean_start;
    bool is_bridge;  // of another broker
    std::uint16_t keep_alive;

    // MQTT 5.0; in MQTT 3 what their absence means.
    std::uint16_t receive_maximum = UINT16_MAX;
    bool id_was_assigned = false;
    bool keep_alive_was_changed = false;  // to the longest the server admits
    bool wants_response_information = false;
    std::uint32_t session_expiry_interval;
    peer_limits limits;

    std::string client_id;               // the assigned one if the client sent none
    std::unique_ptr<will_message> will;  // most clients have none

  private:
    // What clients have that say who they are, or that send properties.
    struct extras {
        std::optional<std::string> user_name;
        std::optional<std::string> password;
        std::optional<std::string> authentication_method;
        std::string authentication_data;
        std::vector<std::uint8_t> encoded_properties;
    };

    void read_properties(const properties& props) {
        using id = property_id;
        for (const property& p : props.all())
            (void)encode_property(p, extras_.make().encoded_properties);  // it came in a packet
        session_expiry_interval =
            props.integer(id::session_expiry_interval, session_expiry_interval);
        receive_maximum =
            static_cast<std::uint16_t>(props.integer(id::receive_maximum, UINT16_MAX));
        limits.maximum_packet_size = props.integer(id::maximum_packet_size, UINT32_MAX);
        limits.topic_alias_maximum =
            static_cast<std::uint16_t>(props.integer(id::topic_alias_maximum, 0));
        limits.wants_problem_information = props.integer(id::request_problem_information, 1) != 0;
        wants_response_information = props.integer(id::request_response_information, 0) != 0;
        if (props.contains(id::authentication_method)) {
            extras_.make().authentication_method.emplace(props.text(id::authentication_method));
        }
    }

    lazy_ptr<extras> extras_;
};

}  // namespace amqtt
