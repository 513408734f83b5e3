#include "bindings/broker_options.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <pybind11/stl.h>

#include "bindings/convert.hpp"

namespace amqtt {
namespace {

// Bits of amqtt.contexts.Tolerance.
std::uint8_t tolerance_bit(std::string_view name) {
    const auto bit = [](tolerance one) { return static_cast<std::uint8_t>(one); };
    if (name == "long_client_id") return bit(tolerance::long_client_id);
    if (name == "password_without_user_name") return bit(tolerance::password_without_user_name);
    if (name == "dup_at_qos_0") return bit(tolerance::dup_at_qos_0);
    if (name == "dup_of_subscribe") return bit(tolerance::dup_of_subscribe);
    if (name == "invalid_filter") return bit(tolerance::invalid_filter);
    throw py::value_error("unknown tolerance " + std::string(name));
}

shared_strategy to_shared_strategy(std::string_view name) {
    if (name == "round_robin") return shared_strategy::round_robin;
    if (name == "random") return shared_strategy::random;
    if (name == "hash_of_publisher") return shared_strategy::hash_of_publisher;
    if (name == "sticky") return shared_strategy::sticky;
    throw py::value_error("unknown strategy " + std::string(name));
}

}  // namespace

connection_limits to_connection_limits(const py::dict& options) {
    const auto short_number = [&](const char* name) { return options[name].cast<std::uint16_t>(); };
    connection_limits limits;
    limits.connect_timeout = to_duration(options["connect_timeout"].cast<double>());
    limits.packet_timeout = to_duration(options["packet_timeout"].cast<double>());
    limits.min_packet_rate = options["min_packet_rate"].cast<std::size_t>();
    limits.max_connect_size = options["max_connect_packet_size"].cast<std::size_t>();
    limits.max_packet_size = options["max_packet_size"].cast<std::size_t>();
    limits.min_keep_alive = short_number("min_keep_alive");
    limits.max_keep_alive = short_number("max_keep_alive");
    limits.max_qos = to_qos(options["max_qos"].cast<int>());
    limits.retain_available = options["retain_available"].cast<bool>();
    limits.anonymous = options["allow_anonymous"].cast<std::optional<bool>>();
    limits.receive_maximum = short_number("receive_maximum");
    limits.topic_alias_maximum = short_number("topic_alias_maximum");
    const auto versions = options["protocol_versions"].cast<std::vector<std::string>>();
    const auto serves = [&](std::string_view version) {
        return std::find(versions.begin(), versions.end(), version) != versions.end();
    };
    limits.v3_1 = serves("3.1");
    limits.v3_1_1 = serves("3.1.1");
    limits.v5_0 = serves("5.0");
    std::uint8_t tolerated = 0;
    for (const auto& name : options["tolerate"].cast<std::vector<std::string>>())
        tolerated |= tolerance_bit(name);
    limits.tolerated = tolerances(tolerated);
    return limits;
}

broker_quotas to_quotas(const py::dict& options) {
    const auto number = [&](const char* name) { return options[name].cast<std::size_t>(); };
    broker_quotas quotas;
    quotas.sessions = number("sessions");
    quotas.subscriptions = number("subscriptions");
    quotas.topic_levels = number("topic_levels");
    quotas.retained_messages = number("retained_messages");
    quotas.retained_bytes = number("retained_bytes");
    quotas.unfinished_bytes = number("unfinished_bytes");
    quotas.session_bytes = number("session_bytes");
    quotas.subscription_bytes = number("subscription_bytes");
    quotas.total_subscription_bytes = number("total_subscription_bytes");
    quotas.total_queued_bytes = number("total_queued_bytes");
    return quotas;
}

question_limits to_question_limits(const py::dict& options) {
    return {options["pending_decisions"].cast<std::size_t>(),
            options["pending_decision_bytes"].cast<std::size_t>()};
}

tls_settings to_tls_settings(const py::dict& options) {
    const auto text = [&](const char* name) { return options[name].cast<std::string>(); };
    tls_settings tls;
    for (const py::handle each : options["certificates"]) {
        const auto [certfile, keyfile, hostnames] =
            each.cast<std::tuple<std::string, std::string, std::vector<std::string>>>();
        tls.certificates.push_back({certfile, keyfile, hostnames});
    }
    tls.psk_file = text("psk_file");
    tls.psk_plugins = options["psk_plugins"].cast<bool>();
    tls.cafile = text("cafile");
    tls.capath = text("capath");
    tls.cadata = text("cadata");
    tls.crlfile = text("crlfile");
    tls.min_version = text("min_version");
    tls.ciphers = text("ciphers");
    tls.groups = text("groups");
    tls.request_client_certificate = options["request_client_certificate"].cast<bool>();
    tls.require_client_certificate = options["require_client_certificate"].cast<bool>();
    return tls;
}

void apply_protocol_options(broker_settings& settings, const py::dict& options) {
    settings.reason_strings = options["reason_strings"].cast<bool>();
    settings.check_payload_format = options["check_payload_format"].cast<bool>();
    settings.response_information = options["response_information"].cast<std::string>();
    settings.server_reference = options["server_reference"].cast<std::string>();
    settings.sessions_have_owners = options["sessions_have_owners"].cast<bool>();
    settings.shared =
        to_shared_strategy(options["shared_subscription_strategy"].cast<std::string>());
    settings.sent_topic_alias_maximum = options["sent_topic_alias_maximum"].cast<std::uint16_t>();
}

}  // namespace amqtt
