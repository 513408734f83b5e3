#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/client_settings.hpp"
#include "bindings/convert.hpp"
#include "bindings/event_kinds.hpp"
#include "bindings/property_dict.hpp"
#include "bindings/register.hpp"
#include "codec/property_names.hpp"
#include "engine/client_engine.hpp"

namespace amqtt {
namespace {

constexpr int code(client_event_kind kind) noexcept {
    return static_cast<int>(kind);
}

// None when there are none.
py::object to_python_properties(bytes_view encoded, property_scope scope) {
    if (encoded.empty()) return py::none();
    reader in(encoded);
    const auto found = properties::decode(in, scope);
    return found ? py::object(to_python(*found)) : py::object(py::none());
}

py::object acknowledgement_properties(const encoded_properties& encoded) {
    // All acknowledgements have the same ones.
    return to_python_properties(encoded, property_scope::puback);
}

struct to_tuple {
    client_handle client;

    py::tuple operator()(const connack_event& e) const {
        return py::make_tuple(code(client_event_kind::connack), client, e.ticket,
                              int{e.return_code}, e.session_present,
                              to_python_properties(e.properties, property_scope::connack));
    }
    py::tuple operator()(const failure_event& e) const {
        return py::make_tuple(code(client_event_kind::failure), client, e.ticket, e.error, e.text);
    }
    py::tuple operator()(const completion_event& e) const {
        return py::make_tuple(code(client_event_kind::completion), client, e.ticket, e.packet_id,
                              int{to_byte(e.code)}, acknowledgement_properties(e.properties));
    }
    py::tuple operator()(const suback_event& e) const {
        py::list codes;
        for (const reason_code code : e.codes)
            codes.append(int{to_byte(code)});
        return py::make_tuple(code(client_event_kind::suback), client, e.ticket, codes,
                              to_python_properties(e.properties, property_scope::suback));
    }
    py::tuple operator()(const auth_event& e) const {
        return py::make_tuple(code(client_event_kind::auth), client, int{to_byte(e.code)},
                              to_python_properties(e.properties, property_scope::auth));
    }
    py::tuple operator()(const server_disconnect_event& e) const {
        return py::make_tuple(code(client_event_kind::server_disconnect), client,
                              int{to_byte(e.code)},
                              to_python_properties(e.properties, property_scope::disconnect));
    }
    py::tuple operator()(const message_event& e) const {
        return py::make_tuple(
            code(client_event_kind::message), client, to_python(e.content->topic()),
            to_python(e.content->payload()), int{to_byte(e.content->level())}, e.content->retain(),
            e.packet_id, e.content->size(),
            to_python_properties(e.content->properties(), property_scope::publish));
    }
    py::tuple operator()(const client_packet_event& e) const {
        return py::make_tuple(code(client_event_kind::packet), client, e.sent,
                              to_python(bytes_view(e.packet)));
    }
    py::tuple operator()(const client_state_event& e) const {
        const client_state_change& change = e.change;
        const int kind = static_cast<int>(change.what);
        if (!change.content) {
            return py::make_tuple(code(client_event_kind::state), client, kind, change.packet_id,
                                  int{to_byte(change.code)});
        }
        const message& content = *change.content;
        return py::make_tuple(code(client_event_kind::state), client, kind, change.packet_id,
                              change.ticket, to_python(content.topic()),
                              to_python(content.payload()), int{to_byte(content.level())},
                              content.retain(), to_python(content.properties()));
    }
    py::tuple operator()(const connection_lost_event& e) const {
        return py::make_tuple(code(client_event_kind::lost), client, e.text);
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

bool gather_publish(client_engine& engine, client_handle client, std::uint64_t ticket,
                    std::string_view topic, const py::object& payload, int level, bool retain,
                    const py::object& by_name) {
    if (by_name.is_none()) {
        return engine.gather(
            {client,
             client_publish_command{ticket, to_message(topic, payload, to_qos(level), retain)}});
    }
    const encoded_properties encoded = to_encoded_properties(by_name, property_scope::publish);
    if (encoded.empty()) {
        return gather_publish(engine, client, ticket, topic, payload, level, retain, py::none());
    }
    reader in(encoded);
    const properties all = value_or_throw(properties::decode(in, property_scope::publish));
    // The first is the engine's business, the second the server's (5.0: MQTT-3.3.4-6).
    for (const property_id id : {property_id::topic_alias, property_id::subscription_identifier}) {
        if (all.contains(id)) {
            throw py::value_error("property '" + std::string(property_name(id)) +
                                  "': not to be given with a message");
        }
    }
    std::vector<std::uint8_t> on_wire;
    for (const property& p : all.all())
        (void)encode_property(p, on_wire);  // it was decoded
    return engine.gather(
        {client, client_publish_command{
                     ticket, to_message(topic, payload, to_qos(level), retain, on_wire)}});
}

subscription_options to_options(const std::tuple<int, bool, bool, int>& values) {
    const auto& [level, no_local, retain_as_published, handling] = values;
    if (handling < 0 || handling > 2) throw py::value_error("retain handling must be 0, 1 or 2");
    return {to_qos(level), no_local, retain_as_published, static_cast<retain_handling>(handling)};
}

void send_subscribe(
    client_engine& engine, client_handle client, std::uint64_t ticket,
    const std::vector<std::pair<std::string, std::tuple<int, bool, bool, int>>>& all,
    const py::object& by_name) {
    subscribe_command command{ticket, {}, {}};
    for (const auto& [filter, options] : all)
        command.filters.emplace_back(require_text("topic filter", filter), to_options(options));
    command.properties = to_encoded_properties(by_name, property_scope::subscribe);
    engine.send({client, std::move(command)});
}

void send_unsubscribe(client_engine& engine, client_handle client, std::uint64_t ticket,
                      std::vector<std::string> filters, const py::object& by_name) {
    for (const std::string& filter : filters)
        require_text("topic filter", filter);
    engine.send(
        {client, unsubscribe_command{ticket, std::move(filters),
                                     to_encoded_properties(by_name, property_scope::unsubscribe)}});
}

// Packet identifier, ticket, code of PUBREC or None; topic, payload, QoS, retain, properties as the
// engine has told them.
using kept_row = std::tuple<std::uint16_t, std::uint64_t, std::optional<std::uint8_t>, std::string,
                            py::object, int, bool, py::bytes>;

void send_keep(client_engine& engine, client_handle client, const std::vector<kept_row>& messages,
               std::vector<std::uint16_t> received) {
    kept_state kept;
    for (const kept_row& row : messages) {
        const auto& [packet_id, ticket, code, topic, payload, level, retain, encoded] = row;
        kept_message one{ticket, packet_id, reason_code::success, nullptr};
        if (code) {
            one.pubrec_code = static_cast<reason_code>(*code);
        } else {
            const auto properties = static_cast<std::string>(encoded);
            one.content = to_message(topic, payload, to_qos(level), retain, as_bytes(properties));
        }
        kept.messages.push_back(std::move(one));
    }
    kept.received = std::move(received);
    engine.send({client, keep_command{std::move(kept)}});
}

template <class Command>
auto sender() {
    return [](client_engine& engine, client_handle client, std::uint64_t ticket) {
        engine.send({client, Command{ticket}});
    };
}

void register_commands(py::class_<client_engine>& type) {
    type.def("publish", &gather_publish, py::arg("client"), py::arg("ticket"), py::arg("topic"),
             py::arg("payload"), py::arg("qos"), py::arg("retain"),
             py::arg("properties") = py::none())
        .def("subscribe", &send_subscribe, py::arg("client"), py::arg("ticket"), py::arg("filters"),
             py::arg("properties") = py::none())
        .def("unsubscribe", &send_unsubscribe, py::arg("client"), py::arg("ticket"),
             py::arg("filters"), py::arg("properties") = py::none())
        .def("keep", &send_keep, py::arg("client"), py::arg("messages"), py::arg("received"))
        .def("ping", sender<ping_command>(), py::arg("client"), py::arg("ticket"))
        .def("abort", sender<abort_command>(), py::arg("client"), py::arg("ticket"))
        .def("cancel", sender<cancel_command>(), py::arg("client"), py::arg("ticket"))
        .def(
            "acknowledge",
            [](client_engine& engine, client_handle client, std::uint64_t connection,
               std::uint16_t packet_id, std::uint8_t code) {
                engine.send({client, acknowledge_command{connection, packet_id,
                                                         static_cast<reason_code>(code)}});
            },
            py::arg("client"), py::arg("connection"), py::arg("packet_id"), py::arg("code"))
        .def(
            "stored",
            [](client_engine& engine, client_handle client, std::uint64_t number) {
                engine.send({client, stored_command{number}});
            },
            py::arg("client"), py::arg("number"))
        .def(
            "consumed",
            [](client_engine& engine, client_handle client, std::size_t messages,
               std::size_t bytes) {
                engine.send({client, consumed_command{messages, bytes}});
            },
            py::arg("client"), py::arg("messages"), py::arg("bytes"))
        .def(
            "authenticate",
            [](client_engine& engine, client_handle client, std::uint8_t code,
               const py::object& by_name) {
                engine.send({client, authenticate_command{
                                         static_cast<reason_code>(code),
                                         to_encoded_properties(by_name, property_scope::auth)}});
            },
            py::arg("client"), py::arg("code"), py::arg("properties"))
        .def(
            "disconnect",
            [](client_engine& engine, client_handle client, std::uint64_t ticket, std::uint8_t code,
               const py::object& by_name) {
                engine.send({client, disconnect_command{ticket, static_cast<reason_code>(code),
                                                        to_encoded_properties(
                                                            by_name, property_scope::disconnect)}});
            },
            py::arg("client"), py::arg("ticket"), py::arg("code") = 0,
            py::arg("properties") = py::none())
        .def(
            "forget",
            [](client_engine& engine, client_handle client) {
                engine.send({client, forget_command{}});
            },
            py::arg("client"));
}

}  // namespace

void register_client(py::module_& module) {
    py::class_<client_tls_context, std::shared_ptr<client_tls_context>>(
        module, "ClientTls", "What TLS connections of a client share.")
        .def(py::init([](const py::dict& values) {
                 const client_tls_settings settings = to_client_tls_settings(values);
                 const py::gil_scoped_release others_run;
                 return std::make_shared<client_tls_context>(settings);
             }),
             py::arg("settings"))
        .def_property_readonly("warnings", &client_tls_context::warnings);
    py::class_<client_engine> type(module, "ClientEngine",
                                   "The thread that does the I/O of all clients of an event loop.");
    type.def(py::init<>())
        .def("open", &client_engine::open)
        .def("flush", &client_engine::flush)
        .def("stop", &client_engine::stop, py::call_guard<py::gil_scoped_release>())
        .def("fileno", &client_engine::event_fd)
        .def("take_events", &take_events, py::arg("most"))
        .def(
            "connect",
            [](client_engine& engine, client_handle client, std::uint64_t ticket,
               const py::dict& settings) {
                engine.send({client, connect_command{ticket, to_connect_settings(settings)}});
            },
            py::arg("client"), py::arg("ticket"), py::arg("settings"));
    register_commands(type);
}

}  // namespace amqtt
