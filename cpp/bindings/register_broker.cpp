#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "base/system_random.hpp"
#include "bindings/broker_events.hpp"
#include "bindings/broker_options.hpp"
#include "bindings/convert.hpp"
#include "bindings/register.hpp"
#include "bindings/state_rows.hpp"
#include "engine/broker_engine.hpp"

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
    // Never the numbers of another broker of this process, and far from where they would wrap.
    settings.first_ticket = system_random()() >> 2;
    return settings;
}

// A list of events and whether more have come.
py::tuple take_events(broker_engine& engine, std::size_t most) {
    std::vector<broker_event> events;
    const bool more = engine.take_events(events, most);
    return py::make_tuple(to_python(events, engine.now()), more);
}

using py_acl = std::map<std::string, std::vector<std::string>>;

acl_table to_table(const std::optional<py_acl>& given) {
    if (!given) return std::nullopt;
    return acl_table(std::in_place, given->begin(), given->end());
}

policy_settings to_policy(const py::dict& options) {
    policy_settings policy;
    policy.authenticate_anonymous = options["authenticate_anonymous"].cast<bool>();
    policy.allow_anonymous = options["allow_anonymous"].cast<bool>();
    policy.taboo = options["taboo"].cast<bool>();
    if (!options["acl"].is_none()) {
        const auto tables = options["acl"].cast<py::tuple>();
        const auto table = [&](std::size_t i) {
            return to_table(tables[i].cast<std::optional<py_acl>>());
        };
        policy.acl = acl_settings{table(0), table(1), table(2)};
    }
    return policy;
}

// Calls what waits for the engine's thread, without the GIL.
template <class F>
auto unlocked(F&& f) {
    const py::gil_scoped_release release;
    return f();
}

py::object message_or_none(message_ptr found) {
    return found ? py::cast(shared_message{std::move(found)}) : py::none();
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

std::vector<std::string> check_tls_options(const py::dict& options) {
    const tls_settings settings = to_tls_settings(options);
    const py::gil_scoped_release others_run;
    return check_tls(settings);
}

void listen_external(broker_engine& engine, const std::string& name, const py::dict& limits) {
    listener_settings settings;
    settings.name = name;
    settings.external = true;
    settings.limits = to_connection_limits(limits);
    engine.listen(settings);
}

void register_commands(py::class_<broker_engine>& engine) {
    engine
        .def(
            "publish",
            [](broker_engine& self, std::string_view topic, const py::object& payload,
               std::optional<int> qos_level, bool retain) {
                const auto level = to_optional_qos(qos_level);
                self.execute(publish_command{
                    to_message(topic, payload, level.value_or(qos::at_most_once), retain), level});
            },
            py::arg("topic"), py::arg("payload"), py::arg("qos"), py::arg("retain"))
        .def(
            "retain",
            [](broker_engine& self, std::string_view topic, const py::object& payload, int level) {
                self.execute(retain_command{to_message(topic, payload, to_qos(level), true)});
            },
            py::arg("topic"), py::arg("payload"), py::arg("qos"))
        .def(
            "authenticated",
            [](broker_engine& self, std::uint64_t ticket, bool allowed, std::uint8_t code,
               std::string reason, std::optional<std::string> user_name) {
                self.execute(authenticated_command{ticket, allowed, static_cast<reason_code>(code),
                                                   std::move(reason), std::move(user_name)});
            },
            py::arg("ticket"), py::arg("allowed"), py::arg("code"), py::arg("reason"),
            py::arg("user_name"))
        .def(
            "authentication_reply",
            [](broker_engine& self, std::uint64_t ticket, std::uint8_t outcome,
               const py::object& data, std::uint8_t code, std::string reason,
               std::optional<std::string> user_name) {
                const buffer_view bytes(data);
                self.execute(authentication_reply_command{
                    ticket, static_cast<authentication_reply_command::kind>(outcome),
                    std::string(as_text(bytes.bytes())), static_cast<reason_code>(code),
                    std::move(reason), std::move(user_name)});
            },
            py::arg("ticket"), py::arg("outcome"), py::arg("data"), py::arg("code"),
            py::arg("reason"), py::arg("user_name"))
        .def(
            "topic_decided",
            [](broker_engine& self, std::uint64_t ticket, bool allowed, std::uint8_t code,
               std::string reason, double ttl) {
                self.execute(topic_decided_command{ticket, allowed, static_cast<reason_code>(code),
                                                   std::move(reason), to_duration(ttl)});
            },
            py::arg("ticket"), py::arg("allowed"), py::arg("code"), py::arg("reason"),
            py::arg("ttl"))
        .def(
            "topics_allowed",
            [](broker_engine& self, std::vector<std::uint64_t> tickets, double ttl) {
                self.execute(topics_allowed_command{std::move(tickets), to_duration(ttl)});
            },
            py::arg("tickets"), py::arg("ttl"))
        .def(
            "psk_key",
            [](broker_engine& self, std::uint64_t ticket, const py::object& key) {
                const buffer_view bytes(key);
                self.execute(key_command{ticket, std::string(as_text(bytes.bytes()))});
            },
            py::arg("ticket"), py::arg("key"))
        .def(
            "committed",
            [](broker_engine& self, std::uint64_t number) {
                self.execute(committed_command{number});
            },
            py::arg("number"))
        .def(
            "set_events",
            [](broker_engine& self, std::uint32_t python, std::uint32_t logged) {
                self.execute(hooks_command{python, logged});
            },
            py::arg("python"), py::arg("logged"))
        .def(
            "disconnect_client",
            [](broker_engine& self, std::string client_id, std::uint8_t code) {
                self.execute(disconnect_client_command{std::move(client_id),
                                                       static_cast<reason_code>(code)});
            },
            py::arg("client_id"), py::arg("code"))
        .def(
            "forget_verdicts",
            [](broker_engine& self, std::optional<std::string> client_id,
               std::optional<std::string> topic) {
                self.execute(forget_verdicts_command{std::move(client_id), std::move(topic)});
            },
            py::arg("client_id"), py::arg("topic"))
        .def(
            "unsubscribe_local",
            [](broker_engine& self, std::uint64_t subscriber) {
                self.execute(unsubscribe_local_command{subscriber});
            },
            py::arg("subscriber"));
}

void register_queries(py::class_<broker_engine>& engine) {
    engine
        .def("status",
             [](broker_engine& self) { return to_python(unlocked([&] { return self.status(); })); })
        .def("session_count", &broker_engine::session_count,
             py::call_guard<py::gil_scoped_release>())
        .def("session_ids", &broker_engine::session_ids, py::call_guard<py::gil_scoped_release>())
        .def(
            "find_session",
            [](broker_engine& self, const std::string& client_id) -> py::object {
                const auto found = unlocked([&] { return self.find_session(client_id); });
                return found ? py::object(to_python(*found)) : py::none();
            },
            py::arg("client_id"))
        .def("subscriptions",
             [](broker_engine& self) {
                 py::dict all;
                 for (const auto& [filter, subscribers] :
                      unlocked([&] { return self.subscriptions(); })) {
                     py::list list;
                     for (const auto& [client_id, level] : subscribers)
                         list.append(py::make_tuple(client_id, to_byte(level)));
                     all[py::str(filter)] = list;
                 }
                 return all;
             })
        .def(
            "subscribers_of",
            [](broker_engine& self, const std::string& filter) {
                py::list list;
                for (const auto& [client_id, level] :
                     unlocked([&] { return self.subscribers_of(filter); })) {
                    list.append(py::make_tuple(client_id, to_byte(level)));
                }
                return list;
            },
            py::arg("topic_filter"))
        .def(
            "find_retained",
            [](broker_engine& self, const std::string& topic) {
                return message_or_none(unlocked([&] { return self.find_retained(topic); }));
            },
            py::arg("topic"))
        .def("retained",
             [](broker_engine& self) {
                 py::list all;
                 for (message_ptr& m : unlocked([&] { return self.retained(); }))
                     all.append(message_or_none(std::move(m)));
                 return all;
             })
        .def("create_session", &broker_engine::create_session, py::arg("client_id"),
             py::call_guard<py::gil_scoped_release>())
        .def(
            "subscribe",
            [](broker_engine& self, const std::string& client_id, const std::string& filter,
               int level) -> std::optional<int> {
                require_text("filter", filter);
                const auto code = unlocked(
                    [&] { return self.subscribe(client_id, filter, static_cast<qos>(level)); });
                return code ? std::optional(static_cast<int>(to_byte(*code))) : std::nullopt;
            },
            py::arg("client_id"), py::arg("filter"), py::arg("qos"))
        .def("subscriptions_of", &broker_engine::subscriptions_of, py::arg("client_id"),
             py::call_guard<py::gil_scoped_release>())
        .def("revoke", &broker_engine::revoke, py::arg("client_id"), py::arg("filter"),
             py::call_guard<py::gil_scoped_release>())
        .def(
            "enqueue",
            [](broker_engine& self, const std::string& client_id, std::string_view topic,
               const py::object& payload, int level) {
                message_ptr content = to_message(topic, payload, to_qos(level), false);
                return unlocked([&] { return self.enqueue(client_id, std::move(content)); });
            },
            py::arg("client_id"), py::arg("topic"), py::arg("payload"), py::arg("qos"))
        .def(
            "subscribe_local",
            [](broker_engine& self, std::uint64_t subscriber, const std::string& filter,
               int level) {
                require_text("filter", filter);
                const qos wanted = to_qos(level);
                return unlocked([&] { return self.subscribe_local(subscriber, filter, wanted); });
            },
            py::arg("subscriber"), py::arg("filter"), py::arg("qos"));
}

void register_storage(py::class_<broker_engine>& engine) {
    engine
        .def(
            "keep_state",
            [](broker_engine& self, bool durable, double commit_delay) {
                self.keep_state(durable, to_duration(commit_delay));
            },
            py::kw_only(), py::arg("durable"), py::arg("commit_delay"))
        .def(
            "restore",
            [](broker_engine& self, const py::object& part) {
                stored_state state = to_stored_state(part, self.now());
                unlocked([&] { self.restore(std::move(state)); });
            },
            py::arg("part"))
        .def("finish_restore", &broker_engine::finish_restore,
             py::call_guard<py::gil_scoped_release>())
        .def("take_changes", [](broker_engine& self) -> py::object {
            const auto rest = unlocked([&] { return self.take_changes(); });
            return rest ? py::object(to_python(*rest, self.now())) : py::none();
        });
}

}  // namespace

void register_broker(py::module_& module) {
    py::class_<broker_engine> engine(module, "BrokerEngine", "A broker on threads of its own.");
    engine
        .def(
            py::init([](std::size_t max_inflight_messages, std::size_t max_queued_messages,
                        std::size_t max_queued_bytes, std::optional<double> session_expiry,
                        std::uint32_t keep_alive_extra, int max_qos, const py::dict& quotas,
                        const py::dict& protocol, double decision_timeout, const py::dict& policy,
                        bool python_authenticates, bool python_checks_topics,
                        std::vector<std::string> authentication_methods, std::size_t threads) {
                broker_settings settings =
                    settings_from(max_inflight_messages, max_queued_messages, max_queued_bytes,
                                  session_expiry, keep_alive_extra, max_qos);
                settings.quotas = to_quotas(quotas);
                apply_protocol_options(settings, protocol);
                settings.decision_timeout = to_duration(decision_timeout);
                return std::make_unique<broker_engine>(
                    settings, to_policy(policy),
                    python_decisions{python_authenticates, python_checks_topics,
                                     std::move(authentication_methods), to_question_limits(quotas)},
                    threads);
            }),
            py::kw_only(), py::arg("max_inflight_messages"), py::arg("max_queued_messages"),
            py::arg("max_queued_bytes"), py::arg("session_expiry"), py::arg("keep_alive_extra"),
            py::arg("max_qos"), py::arg("quotas"), py::arg("protocol"), py::arg("decision_timeout"),
            py::arg("policy"), py::arg("python_authenticates"), py::arg("python_checks_topics"),
            py::arg("authentication_methods"), py::arg("threads"))
        .def("listen", &listen, py::kw_only(), py::arg("name"), py::arg("host"), py::arg("port"),
             py::arg("unix_path"), py::arg("unix_mode"), py::arg("max_connections"),
             py::arg("limits"), py::arg("tls"), py::arg("websocket"), py::arg("proxies"))
        .def("listen_external", &listen_external, py::kw_only(), py::arg("name"), py::arg("limits"))
        .def(
            "adopt",
            [](broker_engine& self, int socket, const std::string& listener, std::uint64_t number,
               std::string address, std::uint16_t port) {
                self.adopt(socket, listener, {number, std::move(address), port});
            },
            py::kw_only(), py::arg("socket"), py::arg("listener"), py::arg("number"),
            py::arg("address"), py::arg("port"))
        .def("start", &broker_engine::start, py::call_guard<py::gil_scoped_release>())
        .def(
            "stop", [](broker_engine& self, double limit) { self.stop(to_duration(limit)); },
            py::arg("limit") = 0.0, py::call_guard<py::gil_scoped_release>())
        .def("reload_certificates", &broker_engine::reload_certificates,
             py::call_guard<py::gil_scoped_release>())
        .def("fileno", &broker_engine::event_fd)
        .def("take_events", &take_events, py::arg("most"));
    register_commands(engine);
    register_queries(engine);
    register_storage(engine);
    register_message(module);
    module.def("check_tls", &check_tls_options, py::arg("options"));
}

}  // namespace amqtt
