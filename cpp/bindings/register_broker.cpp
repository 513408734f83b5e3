#include <chrono>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/broker_options.hpp"
#include "bindings/convert.hpp"
#include "bindings/register.hpp"
#include "transport/broker_engine.hpp"

namespace amqtt {
namespace {

broker_settings settings_from(std::size_t max_inflight_messages, std::size_t max_queued_messages,
                              std::size_t max_queued_bytes, std::optional<double> session_expiry,
                              std::uint32_t keep_alive_extra, int max_qos) {
    broker_settings settings;
    settings.max_inflight_messages = max_inflight_messages;
    settings.queue = {max_queued_messages, max_queued_bytes};
    if (session_expiry) settings.session_expiry = to_duration(*session_expiry);
    settings.keep_alive_extra = keep_alive_extra;
    settings.max_qos = to_qos(max_qos);
    settings.random_seed = (std::uint64_t{std::random_device()()} << 32) | std::random_device()();
    return settings;
}

py::tuple to_python(const log_record& record) {
    return py::make_tuple(
        static_cast<int>(record.level), record.logger,
        py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
            record.text.data(), static_cast<Py_ssize_t>(record.text.size()), "backslashreplace")));
}

// A list of log records and whether more events have come.
py::tuple take_events(broker_engine& engine, std::size_t most) {
    std::vector<broker_event> events;
    const bool more = engine.take_events(events, most);
    py::list all;
    for (const broker_event& event : events)
        all.append(to_python(std::get<log_record>(event)));
    return py::make_tuple(all, more);
}

py::dict to_python(const engine_status& status) {
    py::dict connections;
    for (const auto& [name, count] : status.connections)
        connections[py::str(name)] = count;
    py::dict all;
    all["bytes_received"] = status.stats.bytes_received;
    all["bytes_sent"] = status.stats.bytes_sent;
    all["publish_received"] = status.stats.publish_received;
    all["publish_sent"] = status.stats.publish_sent;
    all["publish_dropped"] = status.stats.publish_dropped;
    all["clients_connected"] = status.stats.clients_connected;
    all["clients_maximum"] = status.stats.clients_maximum;
    all["sessions"] = status.sessions;
    all["subscriptions"] = status.subscriptions;
    all["retained"] = status.retained;
    all["connections"] = connections;
    return all;
}

py::list listen(broker_engine& engine, const std::string& name, const std::string& host,
                std::uint16_t port, const std::string& unix_path,
                std::optional<unsigned int> unix_mode, std::size_t max_connections,
                const py::dict& limits, const std::optional<py::dict>& tls,
                const std::optional<std::pair<std::string, std::vector<std::string>>>& websocket,
                std::optional<std::vector<std::string>> proxies) {
    listener_settings settings;
    settings.name = name;
    settings.host = host;
    settings.port = port;
    settings.max_connections = max_connections;
    settings.unix_path = unix_path;
    settings.unix_mode = unix_mode;
    settings.limits = to_connection_limits(limits);
    if (tls) settings.tls = to_tls_settings(*tls);
    if (websocket) settings.websocket = websocket_settings{websocket->first, websocket->second};
    settings.proxies = std::move(proxies);
    std::vector<bound_address> bound;
    {
        const py::gil_scoped_release release;  // a host name may have to be resolved
        bound = engine.listen(settings);
    }
    py::list addresses;
    for (const bound_address& address : bound)
        addresses.append(py::make_tuple(address.host, address.port));
    return addresses;
}

}  // namespace

void register_broker(py::module_& module) {
    py::class_<broker_engine>(module, "BrokerEngine", "A broker on a thread of its own.")
        .def(py::init([](std::size_t max_inflight_messages, std::size_t max_queued_messages,
                         std::size_t max_queued_bytes, std::optional<double> session_expiry,
                         std::uint32_t keep_alive_extra, int max_qos, const py::dict& quotas,
                         const py::dict& protocol, bool authenticate_anonymous,
                         bool allow_anonymous, bool event_log) {
                 broker_settings settings =
                     settings_from(max_inflight_messages, max_queued_messages, max_queued_bytes,
                                   session_expiry, keep_alive_extra, max_qos);
                 settings.quotas = to_quotas(quotas);
                 apply_protocol_options(settings, protocol);
                 return std::make_unique<broker_engine>(
                     settings, policy_settings{authenticate_anonymous, allow_anonymous, event_log});
             }),
             py::kw_only(), py::arg("max_inflight_messages"), py::arg("max_queued_messages"),
             py::arg("max_queued_bytes"), py::arg("session_expiry"), py::arg("keep_alive_extra"),
             py::arg("max_qos"), py::arg("quotas"), py::arg("protocol"),
             py::arg("authenticate_anonymous"), py::arg("allow_anonymous"), py::arg("event_log"))
        .def("listen", &listen, py::kw_only(), py::arg("name"), py::arg("host"), py::arg("port"),
             py::arg("unix_path"), py::arg("unix_mode"), py::arg("max_connections"),
             py::arg("limits"), py::arg("tls"), py::arg("websocket"), py::arg("proxies"))
        .def("start", &broker_engine::start, py::call_guard<py::gil_scoped_release>())
        .def("stop", &broker_engine::stop, py::call_guard<py::gil_scoped_release>())
        .def("reload_certificates", &broker_engine::reload_certificates,
             py::call_guard<py::gil_scoped_release>())
        .def(
            "publish",
            [](broker_engine& engine, std::string_view topic, const py::object& payload,
               std::optional<int> qos_level, bool retain) {
                const auto level = to_optional_qos(qos_level);
                engine.publish(
                    to_message(topic, payload, level.value_or(qos::at_most_once), retain), level);
            },
            py::arg("topic"), py::arg("payload"), py::arg("qos"), py::arg("retain"))
        .def("status",
             [](broker_engine& engine) {
                 engine_status status;
                 {
                     const py::gil_scoped_release release;
                     status = engine.status();
                 }
                 return to_python(status);
             })
        .def("fileno", &broker_engine::event_fd)
        .def("take_events", &take_events, py::arg("most"));
}

}  // namespace amqtt
