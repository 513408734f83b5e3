#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/convert.hpp"
#include "bindings/register.hpp"
#include "transport/client_engine.hpp"

namespace amqtt {
namespace {

// The first item of an event's tuple; the names are in _bridge.py.
enum event_kind : int {
    connack = 0,
    failure = 1,
    completion = 2,
    suback = 3,
    received = 4,
    lost = 5
};

struct to_tuple {
    client_handle client;

    py::tuple operator()(const connack_event& e) const {
        return py::make_tuple(int{connack}, client, e.ticket, int{e.return_code},
                              e.session_present);
    }
    py::tuple operator()(const failure_event& e) const {
        return py::make_tuple(int{failure}, client, e.ticket, e.error, e.text);
    }
    py::tuple operator()(const completion_event& e) const {
        return py::make_tuple(int{completion}, client, e.ticket, e.packet_id);
    }
    py::tuple operator()(const suback_event& e) const {
        py::list codes;
        for (const std::uint8_t code : e.codes)
            codes.append(int{code});
        return py::make_tuple(int{suback}, client, e.ticket, codes);
    }
    py::tuple operator()(const message_event& e) const {
        return py::make_tuple(int{received}, client, to_python(e.content->topic()),
                              to_python(e.content->payload()), int{to_byte(e.content->level())},
                              e.content->retain(), e.packet_id, e.dup);
    }
    py::tuple operator()(const connection_lost_event& e) const {
        return py::make_tuple(int{lost}, client, e.text);
    }
};

// A list of events and whether more have come.
py::tuple take_events(client_engine& engine, std::size_t most) {
    std::vector<client_event> events;
    const bool more = engine.take_events(events, most);
    py::list all;
    for (const client_event& event : events)
        all.append(std::visit(to_tuple{event.client}, event.what));
    return py::make_tuple(all, more);
}

using optional_will = std::optional<std::tuple<std::string, std::string, int, bool>>;

connect_settings settings_from(std::string host, std::uint16_t port, const std::string& client_id,
                               bool clean_session, std::uint16_t keep_alive,
                               std::uint16_t ping_after, std::optional<std::string> user_name,
                               std::optional<py::bytes> password, const optional_will& will) {
    connect_settings settings;
    settings.host = std::move(host);
    settings.port = port;
    settings.client_id = require_text("client identifier", client_id);
    settings.clean_session = clean_session;
    settings.keep_alive = keep_alive;
    settings.ping_after = ping_after;
    if (user_name) settings.user_name = require_text("user name", *user_name);
    if (password) settings.password = require_field("password", std::string(*password));
    if (will) {
        const auto& [topic, payload, level, retain] = *will;
        settings.will =
            will_settings{require_text("topic of the will", topic),
                          require_field("payload of the will", payload), to_qos(level), retain};
    }
    return settings;
}

template <class Command>
auto sender() {
    return [](client_engine& engine, client_handle client, std::uint64_t ticket) {
        engine.send({client, Command{ticket}});
    };
}

}  // namespace

void register_client(py::module_& module) {
    py::class_<client_engine>(module, "ClientEngine",
                              "The thread that does the I/O of all clients of an event loop.")
        .def(py::init<>())
        .def("open", &client_engine::open)
        .def("stop", &client_engine::stop, py::call_guard<py::gil_scoped_release>())
        .def("fileno", &client_engine::event_fd)
        .def("take_events", &take_events, py::arg("most"))
        .def(
            "connect",
            [](client_engine& engine, client_handle client, std::uint64_t ticket, std::string host,
               std::uint16_t port, const std::string& client_id, bool clean_session,
               std::uint16_t keep_alive, std::uint16_t ping_after,
               std::optional<std::string> user_name, std::optional<py::bytes> password,
               const optional_will& will) {
                engine.send(
                    {client, connect_command{ticket, settings_from(std::move(host), port, client_id,
                                                                   clean_session, keep_alive,
                                                                   ping_after, std::move(user_name),
                                                                   std::move(password), will)}});
            },
            py::arg("client"), py::arg("ticket"), py::kw_only(), py::arg("host"), py::arg("port"),
            py::arg("client_id"), py::arg("clean_session"), py::arg("keep_alive"),
            py::arg("ping_after"), py::arg("user_name"), py::arg("password"), py::arg("will"))
        .def(
            "publish",
            [](client_engine& engine, client_handle client, std::uint64_t ticket,
               std::string_view topic, const py::object& payload, int level, bool retain) {
                engine.send(
                    {client, client_publish_command{
                                 ticket, to_message(topic, payload, to_qos(level), retain)}});
            },
            py::arg("client"), py::arg("ticket"), py::arg("topic"), py::arg("payload"),
            py::arg("qos"), py::arg("retain"))
        .def(
            "subscribe",
            [](client_engine& engine, client_handle client, std::uint64_t ticket,
               const std::vector<std::pair<std::string, int>>& filters) {
                subscribe_command command{ticket, {}};
                for (const auto& [filter, level] : filters)
                    command.filters.emplace_back(require_text("topic filter", filter),
                                                 to_qos(level));
                engine.send({client, std::move(command)});
            },
            py::arg("client"), py::arg("ticket"), py::arg("filters"))
        .def(
            "unsubscribe",
            [](client_engine& engine, client_handle client, std::uint64_t ticket,
               std::vector<std::string> filters) {
                for (const std::string& filter : filters)
                    require_text("topic filter", filter);
                engine.send({client, unsubscribe_command{ticket, std::move(filters)}});
            },
            py::arg("client"), py::arg("ticket"), py::arg("filters"))
        .def("ping", sender<ping_command>(), py::arg("client"), py::arg("ticket"))
        .def("disconnect", sender<disconnect_command>(), py::arg("client"), py::arg("ticket"))
        .def("abort", sender<abort_command>(), py::arg("client"), py::arg("ticket"))
        .def("cancel", sender<cancel_command>(), py::arg("client"), py::arg("ticket"))
        .def(
            "forget",
            [](client_engine& engine, client_handle client) {
                engine.send({client, forget_command{}});
            },
            py::arg("client"));
}

}  // namespace amqtt
