#include "bindings/property_dict.hpp"

#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "codec/property_names.hpp"
#include "codec/writer.hpp"

namespace amqtt {
namespace {

property_scope scope_of(int type, bool of_will) {
    if (of_will) return property_scope::will;
    const auto scope = property_scope_of(static_cast<packet_type>(type));
    if (!scope) throw py::value_error("packets of this type have no properties");
    return *scope;
}

py::object value_of(const property& p) {
    if (const auto* number = std::get_if<std::uint32_t>(&p.value)) return py::int_(*number);
    if (const auto* text = std::get_if<std::string_view>(&p.value)) return to_python(*text);
    if (const auto* data = std::get_if<bytes_view>(&p.value)) return to_python(*data);
    const auto& pair = std::get<user_property>(p.value);
    return py::make_tuple(to_python(pair.name), to_python(pair.value));
}

bool is_listed(property_id id) noexcept {
    return id == property_id::user_property || id == property_id::subscription_identifier;
}

[[noreturn]] void refuse(std::string_view name, const char* problem) {
    throw py::value_error(std::string("property '").append(name).append("': ").append(problem));
}

// Adds properties of one name to a list; keeps what they view.
class property_builder {
  public:
    void add(std::string_view name, py::handle value) {
        const auto id = property_by_name(name);
        if (!id) refuse(name, "MQTT 5.0 has no property of this name");
        const bool single = py::isinstance<py::str>(value) || py::isinstance<py::int_>(value);
        if (!is_listed(*id) || single) {
            add_one(*id, name, value);
            return;
        }
        for (const py::handle each : value)
            add_one(*id, name, each);
    }

    const properties& all() const noexcept { return all_; }

  private:
    const field_value& keep(field_type type, std::string_view name, py::handle value) {
        objects_.push_back(py::reinterpret_borrow<py::object>(value));
        const field_value& kept = values_.emplace_back(value).get();
        if (const char* problem = field_problem(type, kept)) refuse(name, problem);
        return kept;
    }

    void add_one(property_id id, std::string_view name, py::handle value) {
        switch (kind_of(id)) {
            case property_kind::text:
                all_.add(id, std::get<std::string_view>(keep(field_type::text, name, value)));
                break;
            case property_kind::binary:
                all_.add(id, std::get<bytes_view>(keep(field_type::binary, name, value)));
                break;
            case property_kind::pair:
                add_pair(name, value);
                break;
            case property_kind::integer: {
                const wire_value number(value);
                const auto* held = std::get_if<std::uint32_t>(&number.get());
                if (!held) refuse(name, "expected a whole number of at most four bytes");
                if (!is_legal_value(id, *held)) refuse(name, "value out of range");
                all_.add(id, *held);
                break;
            }
        }
    }

    void add_pair(std::string_view name, py::handle value) {
        const bool is_pair = py::isinstance<py::tuple>(value) || py::isinstance<py::list>(value);
        if (!is_pair || py::len(value) != 2) {
            refuse(name, "expected a list of pairs of texts");
        }
        const auto pair = py::reinterpret_borrow<py::sequence>(value);
        const py::object first = pair[0];
        const py::object second = pair[1];
        const auto key = std::get<std::string_view>(keep(field_type::text, name, first));
        all_.add(key, std::get<std::string_view>(keep(field_type::text, name, second)));
    }

    properties all_;
    std::vector<py::object> objects_;
    std::deque<wire_value> values_;
};

}  // namespace

void throw_mqtt_error(const protocol_violation& violation) {
    const py::object type = py::module_::import("amqtt.errors").attr("MQTTError");
    PyErr_SetString(type.ptr(), violation.what);
    throw py::error_already_set();
}

protocol_version to_protocol_version(int level) {
    if (level < 3 || level > 5) throw py::value_error("protocol version must be 3, 4 or 5");
    return static_cast<protocol_version>(level);
}

wire_value::wire_value(py::handle source) {
    if (PyLong_Check(source.ptr())) {
        int overflow = 0;
        const long long number = PyLong_AsLongLongAndOverflow(source.ptr(), &overflow);
        // What has no place stays the empty data, which fits no number field.
        if (number >= 0 && number <= std::numeric_limits<std::uint32_t>::max()) {
            value_ = static_cast<std::uint32_t>(number);
        } else {
            value_ = bytes_view();
        }
    } else if (PyUnicode_Check(source.ptr())) {
        Py_ssize_t size = 0;
        const char* text = PyUnicode_AsUTF8AndSize(source.ptr(), &size);
        if (!text) throw py::error_already_set();
        value_ = std::string_view(text, static_cast<std::size_t>(size));
    } else {
        buffer_.emplace(py::reinterpret_borrow<py::object>(source));
        value_ = buffer_->bytes();
    }
}

py::dict to_python(const properties& all) {
    py::dict by_name;
    for (const property& p : all.all()) {
        const py::str name = to_python(property_name(p.id));
        if (!is_listed(p.id)) {
            by_name[name] = value_of(p);
            continue;
        }
        if (!by_name.contains(name)) by_name[name] = py::list();
        py::list(by_name[name]).append(value_of(p));
    }
    return by_name;
}

py::dict decode_properties(int type, const py::object& data, bool of_will) {
    const buffer_view view(data);
    reader in(view.bytes());
    return to_python(value_or_throw(properties::decode(in, scope_of(type, of_will))));
}

py::dict decode_bare_properties(bytes_view encoded, property_scope scope) {
    if (encoded.empty()) return {};
    std::vector<std::uint8_t> with_length;
    writer to(with_length);
    to.varint(encoded.size());
    to.bytes(encoded);
    reader in(with_length);
    const auto found = properties::decode(in, scope);
    return found ? to_python(*found) : py::dict();
}

py::bytes encode_properties(const py::dict& by_name) {
    property_builder built;
    for (const auto& [name, value] : by_name)
        built.add(py::cast<std::string_view>(name), value);
    std::vector<std::uint8_t> out;
    if (!built.all().encode(out)) {
        throw py::value_error("properties are longer than an MQTT packet can be");
    }
    return to_python(bytes_view(out));
}

}  // namespace amqtt
