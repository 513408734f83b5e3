#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <pybind11/pybind11.h>

#include "bindings/convert.hpp"
#include "bindings/property_dict.hpp"
#include "bindings/register.hpp"
#include "codec/fields.hpp"
#include "codec/packet.hpp"

namespace amqtt {
namespace {

py::object or_none(const std::optional<std::string_view>& text) {
    return text ? py::object(to_python(*text)) : py::none();
}

py::object or_none(const std::optional<bytes_view>& data) {
    return data ? py::object(to_python(*data)) : py::none();
}

// The fields of a packet behind those of its fixed header; _core.pyi lists them. Properties are
// None, and so are Reason Codes, where the version has none.
struct fields_to_tuple {
    const control_packet& packet;
    protocol_version version;

    py::tuple operator()(const ping_packet&) const { return head(); }

    py::tuple operator()(const connect_packet& p) const {
        py::object will = py::none();
        if (p.will) {
            will = py::make_tuple(to_python(p.will->topic), to_python(p.will->payload),
                                  props(p.will->props, p.version));
        }
        return head(static_cast<int>(p.version), connect_flags(p), p.keep_alive,
                    to_python(p.client_id), will, or_none(p.user_name), or_none(p.password),
                    props(p.props, p.version));
    }
    py::tuple operator()(const connack_packet& p) const {
        const int code = has_properties(version) ? to_byte(p.code) : p.v3_code;
        return head(p.session_present, code, props(p.props));
    }
    py::tuple operator()(const publish_packet& p) const {
        const bool has_id = p.level != qos::at_most_once;
        return head(to_python(p.topic), has_id ? py::object(py::int_(p.packet_id)) : py::none(),
                    to_python(p.payload), props(p.props));
    }
    py::tuple operator()(const ack_packet& p) const {
        return head(p.packet_id, code(p.code), props(p.props));
    }
    py::tuple operator()(const subscribe_packet& p) const {
        py::list requests;
        for (const subscription_request& request : p.requests) {
            const subscription_options& options = request.options;
            requests.append(py::make_tuple(to_python(request.filter), to_byte(options.level),
                                           options.no_local, options.retain_as_published,
                                           static_cast<int>(options.retained)));
        }
        return head(p.packet_id, requests, props(p.props));
    }
    py::tuple operator()(const suback_packet& p) const {
        py::list codes;
        for (const reason_code each : p.codes)
            codes.append(to_byte(each));
        return head(p.packet_id, codes, props(p.props));
    }
    py::tuple operator()(const unsubscribe_packet& p) const {
        py::list filters;
        for (const std::string_view filter : p.filters)
            filters.append(to_python(filter));
        return head(p.packet_id, filters, props(p.props));
    }
    py::tuple operator()(const disconnect_packet& p) const {
        return head(code(p.code), props(p.props));
    }
    py::tuple operator()(const auth_packet& p) const { return head(code(p.code), props(p.props)); }

  private:
    template <class... Fields>
    py::tuple head(Fields&&... fields) const {
        return py::make_tuple(static_cast<int>(packet.type), packet.flags, packet.remaining_length,
                              std::forward<Fields>(fields)...);
    }
    py::object code(reason_code value) const {
        return has_properties(version) ? py::object(py::int_(to_byte(value))) : py::none();
    }
    py::object props(const properties& all) const { return props(all, version); }
    static py::object props(const properties& all, protocol_version of) {
        return has_properties(of) ? py::object(to_python(all)) : py::none();
    }
};

// A broker may have been told to bear such packets, and plugins are to see them.
constexpr tolerances any_tolerance(0xFF);

py::tuple decode(const py::object& data, int level) {
    const buffer_view view(data);
    const protocol_version version = to_protocol_version(level);
    const control_packet packet =
        value_or_throw(decode_packet(view.bytes(), version, any_tolerance));
    return std::visit(fields_to_tuple{packet, version}, packet.fields);
}

py::object to_python(const field_value& value) {
    return std::visit(
        [](const auto& held) -> py::object {
            if constexpr (std::is_same_v<decltype(held), const std::uint32_t&>) {
                return py::int_(held);
            } else {
                return amqtt::to_python(held);
            }
        },
        value);
}

// The values as a tuple, or how many bytes are missing at least.
py::object read(std::string_view layout, const py::object& data) {
    const buffer_view view(data);
    const field_run run = value_or_throw(read_fields(layout, view.bytes()));
    if (run.missing != 0) return py::int_(run.missing);
    py::tuple values(run.values.size());
    for (std::size_t i = 0; i < run.values.size(); ++i)
        values[i] = to_python(run.values[i]);
    return values;
}

py::bytes write(std::string_view layout, const py::args& values) {
    if (layout.size() != values.size()) {
        throw py::value_error("layout and values differ in number");
    }
    std::vector<std::uint8_t> out;
    for (std::size_t i = 0; i < layout.size(); ++i) {
        const auto type = static_cast<field_type>(layout[i]);
        const wire_value value(values[i]);
        if (const char* problem = field_problem(type, value.get())) throw py::value_error(problem);
        write_field(type, value.get(), out);
    }
    return to_python(bytes_view(out));
}

}  // namespace

void register_packets(py::module_& module) {
    module.def("decode_packet", &decode, py::arg("data"), py::arg("protocol_version"));
    module.def("read_fields", &read, py::arg("layout"), py::arg("data"));
    module.def("write_fields", &write, py::arg("layout"));
    module.def("decode_properties", &decode_properties, py::arg("packet_type"), py::arg("data"),
               py::arg("of_will"));
    module.def("encode_properties", &encode_properties, py::arg("properties"));
}

}  // namespace amqtt
