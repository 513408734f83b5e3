#include "bridge/property_list.hpp"

#include "codec/writer.hpp"

namespace amqtt {
namespace {

struct to_owned {
    property_value operator()(std::uint32_t value) const { return value; }
    property_value operator()(std::string_view value) const { return std::string(value); }
    property_value operator()(bytes_view value) const {
        return std::vector<std::uint8_t>(value.begin(), value.end());
    }
    property_value operator()(const user_property& value) const {
        return std::pair(std::string(value.name), std::string(value.value));
    }
};

}  // namespace

property_list decode_properties(bytes_view encoded, property_scope scope) {
    property_list list;
    if (encoded.empty()) return list;
    std::vector<std::uint8_t> with_length;
    writer to(with_length);
    to.varint(encoded.size());
    to.bytes(encoded);
    reader in(with_length);
    const auto read = properties::decode(in, scope);
    if (!read) return list;
    for (const property& p : read->all())
        list.push_back({p.id, std::visit(to_owned(), p.value)});
    return list;
}

const char* name_of(property_id id) noexcept {
    switch (id) {
        case property_id::payload_format_indicator:
            return "payload_format_indicator";
        case property_id::message_expiry_interval:
            return "message_expiry_interval";
        case property_id::content_type:
            return "content_type";
        case property_id::response_topic:
            return "response_topic";
        case property_id::correlation_data:
            return "correlation_data";
        case property_id::subscription_identifier:
            return "subscription_identifier";
        case property_id::session_expiry_interval:
            return "session_expiry_interval";
        case property_id::assigned_client_identifier:
            return "assigned_client_identifier";
        case property_id::server_keep_alive:
            return "server_keep_alive";
        case property_id::authentication_method:
            return "authentication_method";
        case property_id::authentication_data:
            return "authentication_data";
        case property_id::request_problem_information:
            return "request_problem_information";
        case property_id::will_delay_interval:
            return "will_delay_interval";
        case property_id::request_response_information:
            return "request_response_information";
        case property_id::response_information:
            return "response_information";
        case property_id::server_reference:
            return "server_reference";
        case property_id::reason_string:
            return "reason_string";
        case property_id::receive_maximum:
            return "receive_maximum";
        case property_id::topic_alias_maximum:
            return "topic_alias_maximum";
        case property_id::topic_alias:
            return "topic_alias";
        case property_id::maximum_qos:
            return "maximum_qos";
        case property_id::retain_available:
            return "retain_available";
        case property_id::user_property:
            return "user_property";
        case property_id::maximum_packet_size:
            return "maximum_packet_size";
        case property_id::wildcard_subscription_available:
            return "wildcard_subscription_available";
        case property_id::subscription_identifier_available:
            return "subscription_identifier_available";
        case property_id::shared_subscription_available:
            return "shared_subscription_available";
    }
    return "unknown";
}

}  // namespace amqtt
