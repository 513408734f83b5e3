#include "bindings/broker_events.hpp"

#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "bindings/convert.hpp"
#include "bindings/event_kinds.hpp"
#include "bindings/property_dict.hpp"
#include "bindings/register.hpp"
#include "bindings/state_rows.hpp"

namespace amqtt {
namespace {

// An int, which is found faster in a dictionary than a member of an enumeration.
constexpr int code(broker_event_kind kind) noexcept {
    return static_cast<int>(kind);
}

template <class T>
py::object optional_text(const std::optional<T>& text) {
    return text ? py::object(to_python(std::string_view(*text))) : py::none();
}

py::object optional_bytes(const std::optional<std::string>& data) {
    return data ? py::object(to_python(as_bytes(*data))) : py::none();
}

// A log record may quote what a peer sent.
py::object lenient_text(const std::string& text) {
    return py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
        text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace"));
}

// A null object where nothing is left to be told.
struct to_tuple {
    instant now{0};

    py::object operator()(state_changes_event& e) const {
        return py::make_tuple(code(broker_event_kind::state_changes), to_python(*e.batch, now));
    }
    py::object operator()(log_record& e) const {
        return py::make_tuple(static_cast<int>(e.level), e.logger, lenient_text(e.text));
    }
    py::object operator()(authenticate_event& e) const {
        const auto who = e.who->take();
        return who ? py::object(py::make_tuple(code(broker_event_kind::authenticate), e.ticket,
                                               to_python(*who)))
                   : py::object();
    }
    py::object operator()(authentication_step_event& e) const {
        const auto step = e.content->take();
        if (!step) return {};
        return py::make_tuple(code(broker_event_kind::authentication_step), e.ticket,
                              step->who ? py::object(to_python(*step->who)) : py::none(),
                              step->client_id, step->method, to_python(as_bytes(step->data)),
                              step->is_first, step->is_repeated);
    }
    py::object operator()(authentication_ended_event& e) const {
        return py::make_tuple(code(broker_event_kind::authentication_ended), e.ticket);
    }
    py::object operator()(topic_event& e) const {
        return py::make_tuple(code(broker_event_kind::check_topic), e.ticket, e.client_id, e.action,
                              e.topic, e.login, optional_text(e.user_name));
    }
    py::object operator()(connected_event& e) const {
        return py::make_tuple(code(broker_event_kind::client_connected), e.ticket,
                              e.session_present, to_python(*e.who));
    }
    py::object operator()(disconnected_event& e) const {
        return py::make_tuple(code(broker_event_kind::client_disconnected), e.client_id,
                              to_byte(e.reason));
    }
    py::object operator()(refused_event& e) const {
        return py::make_tuple(code(broker_event_kind::client_refused), e.ticket);
    }
    py::object operator()(session_ended_event& e) const {
        return py::make_tuple(code(broker_event_kind::session_ended), e.client_id);
    }
    py::object operator()(subscription_event& e) const {
        if (!e.granted)
            return py::make_tuple(code(broker_event_kind::client_unsubscribed), e.client_id,
                                  e.filter);
        return py::make_tuple(code(broker_event_kind::client_subscribed), e.client_id, e.filter,
                              to_byte(*e.granted));
    }
    py::object operator()(broker_message_event& e) const {
        return py::make_tuple(code(broker_event_kind::message), static_cast<int>(e.fate),
                              e.client_id, py::cast(shared_message{std::move(e.content)}),
                              e.packet_id);
    }
    py::object operator()(packet_event& e) const {
        return py::make_tuple(code(broker_event_kind::packet), e.sent, optional_text(e.client_id),
                              static_cast<int>(e.version), to_python(bytes_view(e.packet)));
    }
    py::object operator()(local_message_event& e) const {
        return py::make_tuple(code(broker_event_kind::local_message), e.subscriber,
                              py::cast(shared_message{std::move(e.content)}), e.retain);
    }
    py::object operator()(external_ended_event& e) const {
        return py::make_tuple(code(broker_event_kind::external_ended), e.number);
    }
    py::object operator()(key_event& e) const {
        return py::make_tuple(code(broker_event_kind::psk_key), e.ticket, e.listener, e.identity);
    }
};

// Log records that follow each other. Many are the same as the one before, and so are their
// objects.
class record_list {
  public:
    const py::list& items() const noexcept { return items_; }
    // The record must outlive the list.
    void add(log_record& record) {
        const bool again = last_ && last_->level == record.level &&
                           last_->logger == record.logger && last_->text == record.text;
        if (!again) made_ = to_tuple{}(record);
        last_ = &record;
        items_.append(made_);
    }

  private:
    py::list items_;
    const log_record* last_ = nullptr;
    py::object made_;  // of it
};

}  // namespace

py::list to_python(std::vector<broker_event>& events, instant now) {
    py::list all;
    std::optional<record_list> records;  // the last of all, while that is one of log records
    for (broker_event& event : events) {
        if (auto* record = std::get_if<log_record>(&event)) {
            if (!records)
                all.append(py::make_tuple(code(broker_event_kind::log_records),
                                          records.emplace().items()));
            records->add(*record);
        } else {
            records.reset();
            if (const py::object made = std::visit(to_tuple{now}, event)) all.append(made);
        }
    }
    return all;
}

py::dict to_python(const session_facts& facts) {
    py::dict all;
    all["client_id"] = facts.client_id;
    all["connected"] = facts.connected;
    all["username"] = optional_text(facts.user_name);
    all["password"] = optional_bytes(facts.password);
    all["protocol_version"] = static_cast<int>(facts.version);
    all["address"] = facts.address;
    all["port"] = facts.port;
    all["listener"] = facts.listener;
    all["external"] = facts.external;
    all["clean_start"] = facts.clean_start;
    all["keep_alive"] = facts.keep_alive;
    all["will"] =
        facts.will
            ? py::object(py::make_tuple(facts.will->topic, to_python(as_bytes(facts.will->payload)),
                                        to_byte(facts.will->level), facts.will->retain))
            : py::none();
    all["properties"] = decode_bare_properties(facts.properties, property_scope::connect);
    all["tls"] =
        facts.is_encrypted
            ? py::object(py::make_tuple(to_python(bytes_view(facts.certificate)),
                                        facts.psk_identity, facts.tls_version, facts.tls_cipher))
            : py::none();
    all["login"] = facts.login;
    all["inflight_out"] = facts.inflight_out;
    all["inflight_in"] = facts.inflight_in;
    all["queued"] = facts.queued;
    return all;
}

py::dict to_python(const engine_status& status) {
    py::dict connections;
    for (const auto& [name, count] : status.connections)
        connections[py::str(name)] = count;
    py::dict all;
    all["bytes_received"] = status.stats.bytes_received;
    all["bytes_sent"] = status.stats.bytes_sent;
    all["packets_received"] = status.stats.packets_received;
    all["packets_sent"] = status.stats.packets_sent;
    all["publish_received"] = status.stats.publish_received;
    all["publish_sent"] = status.stats.publish_sent;
    all["publish_dropped"] = status.stats.publish_dropped;
    all["publish_too_large"] = status.stats.publish_too_large;
    all["publish_refused"] = status.stats.publish_refused;
    all["clients_connected"] = status.stats.clients_connected;
    all["clients_disconnected"] = status.stats.disconnections;
    all["clients_maximum"] = status.stats.clients_maximum;
    all["sessions"] = status.sessions;
    all["subscriptions"] = status.subscriptions;
    all["retained"] = status.retained;
    all["inflight_in"] = status.inflight_in;
    all["inflight_out"] = status.inflight_out;
    all["queued"] = status.queued;
    all["connections"] = connections;
    return all;
}

void register_message(py::module_& module) {
    py::class_<shared_message>(module, "Message",
                               "A message of the engine; reading an attribute makes a copy.")
        .def_property_readonly(
            "topic", [](const shared_message& m) { return to_python(m.content->topic()); })
        .def_property_readonly(
            "payload", [](const shared_message& m) { return to_python(m.content->payload()); })
        .def_property_readonly("size",
                               [](const shared_message& m) { return m.content->payload().size(); })
        .def_property_readonly("qos",
                               [](const shared_message& m) { return to_byte(m.content->level()); })
        .def_property_readonly("retain",
                               [](const shared_message& m) { return m.content->retain(); })
        .def_property_readonly(
            "publisher", [](const shared_message& m) { return to_python(m.content->publisher()); })
        .def_property_readonly("properties", [](const shared_message& m) {
            return decode_bare_properties(m.content->properties(), property_scope::publish);
        });
}

}  // namespace amqtt
