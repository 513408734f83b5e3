#include "bindings/client_settings.hpp"

#include <string>
#include <utility>
#include <vector>

#include <pybind11/stl.h>

#include "bindings/convert.hpp"
#include "bindings/property_dict.hpp"
#include "codec/topic_syntax.hpp"

namespace amqtt {
namespace {

std::string text(const py::dict& values, const char* name) {
    return values[name].cast<std::string>();
}

will_settings to_will(const py::dict& values) {
    will_settings will;
    will.topic = require_text("topic of the will", text(values, "topic"));
    will.payload = require_field("payload of the will", text(values, "payload"));
    will.level = to_qos(values["qos"].cast<int>());
    will.retain = values["retain"].cast<bool>();
    will.properties = to_encoded_properties(values["properties"], property_scope::will);
    return will;
}

proxy_settings to_proxy(const py::dict& values) {
    proxy_settings proxy;
    proxy.how = text(values, "kind") == "socks5" ? proxy_settings::kind::socks5
                                                 : proxy_settings::kind::http;
    proxy.host = text(values, "host");
    proxy.port = values["port"].cast<std::uint16_t>();
    proxy.user_name = text(values, "username");
    proxy.password = text(values, "password");
    return proxy;
}

// What would end the header early could be used to smuggle in others.
const std::string& require_header(const std::string& value) {
    if (value.find_first_of("\r\n") != std::string::npos || value.find('\0') != std::string::npos) {
        throw py::value_error("a header of the WebSocket handshake has a line break");
    }
    return value;
}

websocket_request_settings to_websocket(const py::dict& values) {
    websocket_request_settings websocket;
    websocket.host = require_header(text(values, "host"));
    websocket.target = require_header(text(values, "target"));
    for (const auto& [name, value] :
         values["headers"].cast<std::vector<std::pair<std::string, std::string>>>()) {
        websocket.headers.emplace_back(require_header(name), require_header(value));
    }
    return websocket;
}

endpoint_settings to_endpoint(const py::dict& values) {
    endpoint_settings endpoint;
    endpoint.host = text(values, "host");
    endpoint.port = values["port"].cast<std::uint16_t>();
    endpoint.unix_path = text(values, "unix_path");
    const py::object tls = values["tls"];
    if (!tls.is_none()) endpoint.tls = tls.cast<std::shared_ptr<client_tls_context>>();
    const py::object websocket = values["websocket"];
    if (!websocket.is_none()) endpoint.websocket = to_websocket(websocket.cast<py::dict>());
    const py::object proxy = values["proxy"];
    if (!proxy.is_none()) endpoint.proxy = to_proxy(proxy.cast<py::dict>());
    return endpoint;
}

}  // namespace

encoded_properties to_encoded_properties(const py::object& by_name, property_scope scope) {
    if (by_name.is_none()) return {};
    const std::string encoded(encode_properties(by_name.cast<py::dict>()));
    reader in(as_bytes(encoded));
    const auto checked = properties::decode(in, scope);
    if (!checked) throw py::value_error(std::string("properties: ") + checked.error().what);
    if (checked->empty()) return {};
    // (5.0: MQTT-3.3.2-14)
    if (checked->contains(property_id::response_topic) &&
        !is_topic_name(checked->text(property_id::response_topic))) {
        throw py::value_error("property 'response_topic': it is empty or has a wildcard");
    }
    return {encoded.begin(), encoded.end()};
}

client_tls_settings to_client_tls_settings(const py::dict& values) {
    client_tls_settings tls;
    tls.cafile = text(values, "cafile");
    tls.capath = text(values, "capath");
    tls.cadata = text(values, "cadata");
    tls.default_cafile = text(values, "default_cafile");
    tls.default_capath = text(values, "default_capath");
    tls.crlfile = text(values, "crlfile");
    tls.certfile = text(values, "certfile");
    tls.keyfile = text(values, "keyfile");
    tls.check_hostname = values["check_hostname"].cast<bool>();
    tls.verify = values["verify"].cast<bool>();
    tls.protocol = text(values, "alpn");
    if (tls.protocol.size() > 255) throw py::value_error("alpn is longer than 255 bytes");
    return tls;
}

connect_settings to_connect_settings(const py::dict& values) {
    connect_settings settings;
    settings.endpoint = to_endpoint(values["endpoint"].cast<py::dict>());
    settings.version = to_protocol_version(values["protocol_version"].cast<int>());
    settings.client_id = require_text("client identifier", text(values, "client_id"));
    settings.clean_session = values["clean_session"].cast<bool>();
    settings.forget_session = values["forget_session"].cast<bool>();
    settings.keep_alive = values["keep_alive"].cast<std::uint16_t>();
    settings.ping_after = values["ping_after"].cast<std::uint16_t>();
    if (const py::object name = values["user_name"]; !name.is_none()) {
        settings.user_name = require_text("user name", name.cast<std::string>());
    }
    if (const py::object password = values["password"]; !password.is_none()) {
        settings.password = require_field("password", std::string(password.cast<py::bytes>()));
    }
    if (const py::object will = values["will"]; !will.is_none()) {
        settings.will = to_will(will.cast<py::dict>());
    }
    settings.properties = to_encoded_properties(values["properties"], property_scope::connect);
    settings.manual_acknowledgement = values["manual_acknowledgement"].cast<bool>();
    settings.send_maximum = values["send_maximum"].cast<std::uint16_t>();
    settings.qos2_maximum = values["qos2_maximum"].cast<std::uint16_t>();
    settings.watch_packets = values["watch_packets"].cast<bool>();
    settings.receive_messages = values["receive_messages"].cast<std::size_t>();
    settings.receive_bytes = values["receive_bytes"].cast<std::size_t>();
    return settings;
}

}  // namespace amqtt
