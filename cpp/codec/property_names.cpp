#include "codec/property_names.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace amqtt {
namespace {

using named_property = std::pair<property_id, std::string_view>;

constexpr std::array names{
    named_property{property_id::payload_format_indicator, "payload_format_indicator"},
    named_property{property_id::message_expiry_interval, "message_expiry_interval"},
    named_property{property_id::content_type, "content_type"},
    named_property{property_id::response_topic, "response_topic"},
    named_property{property_id::correlation_data, "correlation_data"},
    named_property{property_id::subscription_identifier, "subscription_identifier"},
    named_property{property_id::session_expiry_interval, "session_expiry_interval"},
    named_property{property_id::assigned_client_identifier, "assigned_client_identifier"},
    named_property{property_id::server_keep_alive, "server_keep_alive"},
    named_property{property_id::authentication_method, "authentication_method"},
    named_property{property_id::authentication_data, "authentication_data"},
    named_property{property_id::request_problem_information, "request_problem_information"},
    named_property{property_id::will_delay_interval, "will_delay_interval"},
    named_property{property_id::request_response_information, "request_response_information"},
    named_property{property_id::response_information, "response_information"},
    named_property{property_id::server_reference, "server_reference"},
    named_property{property_id::reason_string, "reason_string"},
    named_property{property_id::receive_maximum, "receive_maximum"},
    named_property{property_id::topic_alias_maximum, "topic_alias_maximum"},
    named_property{property_id::topic_alias, "topic_alias"},
    named_property{property_id::maximum_qos, "maximum_qos"},
    named_property{property_id::retain_available, "retain_available"},
    named_property{property_id::user_property, "user_property"},
    named_property{property_id::maximum_packet_size, "maximum_packet_size"},
    named_property{property_id::wildcard_subscription_available, "wildcard_subscription_available"},
    named_property{property_id::subscription_identifier_available,
                   "subscription_identifier_available"},
    named_property{property_id::shared_subscription_available, "shared_subscription_available"},
};

}  // namespace

std::string_view property_name(property_id id) noexcept {
    const auto* found = std::ranges::find(names, id, &named_property::first);
    return found == names.end() ? std::string_view{} : found->second;
}

std::optional<property_id> property_by_name(std::string_view name) noexcept {
    const auto* found = std::ranges::find(names, name, &named_property::second);
    return found == names.end() ? std::nullopt : std::optional(found->first);
}

}  // namespace amqtt
