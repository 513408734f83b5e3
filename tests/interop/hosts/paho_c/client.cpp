#include "client.hpp"

#include <chrono>
#include <memory>
#include <stdexcept>

namespace {

constexpr auto limit = std::chrono::seconds(30);

void require(int status, const char* what) {
    if (status != MQTTASYNC_SUCCESS)
        throw std::runtime_error(std::string(what) + ": " + MQTTAsync_strerror(status));
}

std::string uri_for(const json& request) {
    const std::string transport = request.at("transport");
    const std::string scheme = transport == "tls" ? "ssl" : transport;
    return scheme + "://127.0.0.1:" + std::to_string(request.at("port").get<int>());
}

json success(const MQTTAsync_successData5& data) {
    json made{{"code", data.reasonCode}, {"codes", {data.reasonCode}}};
    const std::string reason = text_of(data.properties, MQTTPROPERTY_CODE_REASON_STRING);
    if (!reason.empty()) made["reason"] = reason;
    return made;
}

json failure(const MQTTAsync_failureData5& data) {
    // What the broker refuses is an answer to publish and subscribe.
    json made{{"code", data.reasonCode}, {"codes", {data.reasonCode}}};
    const std::string reason = text_of(data.properties, MQTTPROPERTY_CODE_REASON_STRING);
    if (!reason.empty()) made["reason"] = reason;
    if (data.reasonCode < 0x80)
        made["error"] = data.message != nullptr ? data.message : MQTTAsync_strerror(data.code);
    return made;
}

// The library calls one of the functions once; it is then that the context goes.
client::answerer take(void* context) {
    const std::unique_ptr<client::answerer> answer(static_cast<client::answerer*>(context));
    return std::move(*answer);
}

}  // namespace

client::client(std::string name, const json& request, writer write)
    : name_(std::move(name)),
      request_(request),
      is_v5_(request.at("version") == 5),
      write_(std::move(write)) {
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
    options.MQTTVersion = is_v5_ ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    const std::string client_id = request_.at("client_id");
    require(MQTTAsync_createWithOptions(&handle_, uri_for(request_).c_str(), client_id.c_str(),
                                        MQTTCLIENT_PERSISTENCE_NONE, nullptr, &options),
            "create");
    require(MQTTAsync_setCallbacks(handle_, this, nullptr, on_message, nullptr), "callbacks");
}

client::~client() {
    MQTTAsync_destroy(&handle_);
}

void client::connect(const answerer& answer) {
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    if (is_v5_) options = MQTTAsync_connectOptions_initializer5;
    const bool clean = request_.at("clean");
    (is_v5_ ? options.cleanstart : options.cleansession) = clean ? 1 : 0;
    const std::string username = request_.at("username");
    options.username = username.c_str();
    options.MQTTVersion = is_v5_ ? MQTTVERSION_5 : MQTTVERSION_3_1_1;

    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    const std::string cafile = request_.value("ca", "");
    tls.trustStore = cafile.c_str();
    tls.verify = 1;  // the name in the certificate too
    if (!cafile.empty()) options.ssl = &tls;

    property_list properties;
    property_list will_properties;
    if (is_v5_) {
        add_connect_properties(properties);
        options.connectProperties = properties.get();
    }
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    const json given = request_.value("will", json::object());
    const std::string topic = given.value("topic", "");
    const std::string payload = decode_base64(given.value("payload", ""));
    if (!given.empty()) {
        will.topicName = topic.c_str();
        will.payload = {static_cast<int>(payload.size()), payload.data()};
        will.qos = given.at("qos");
        will.retained = given.at("retain").get<bool>() ? 1 : 0;
        options.will = &will;
    }
    if (is_v5_ && !given.empty()) {
        will_properties.add_all(given.at("properties"));
        if (given.contains("delay"))
            will_properties.add(MQTTPROPERTY_CODE_WILL_DELAY_INTERVAL,
                                given["delay"].get<unsigned int>());
        options.willProperties = will_properties.get();
    }
    set_outcome(options, answer);
    require(MQTTAsync_connect(handle_, &options), "connect");
}

void client::add_connect_properties(property_list& properties) const {
    const auto add = [&](const char* name, MQTTPropertyCodes code) {
        if (request_.contains(name)) properties.add(code, request_[name].get<unsigned int>());
    };
    add("session_expiry", MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL);
    add("topic_aliases", MQTTPROPERTY_CODE_TOPIC_ALIAS_MAXIMUM);
    add("receive_maximum", MQTTPROPERTY_CODE_RECEIVE_MAXIMUM);
    if (request_.contains("problem_information"))
        properties.add(MQTTPROPERTY_CODE_REQUEST_PROBLEM_INFORMATION,
                       request_["problem_information"].get<bool>() ? 1U : 0U);
}

void client::set_outcome(MQTTAsync_connectOptions& options, const answerer& answer) const {
    options.context = new answerer(answer);
    if (is_v5_) {
        options.onSuccess5 = [](void* context, MQTTAsync_successData5* data) {
            json result{{"session_present", data->alt.connect.sessionPresent != 0}};
            const std::string assigned =
                text_of(data->properties, MQTTPROPERTY_CODE_ASSIGNED_CLIENT_IDENTIFER);
            if (!assigned.empty()) result["assigned_id"] = assigned;
            take(context)(std::move(result));
        };
        options.onFailure5 = [](void* context, MQTTAsync_failureData5* data) {
            json result = failure(*data);
            if (!result.contains("error")) result["error"] = "refused";
            take(context)(std::move(result));
        };
    } else {
        options.onSuccess = [](void* context, MQTTAsync_successData* data) {
            take(context)({{"session_present", data->alt.connect.sessionPresent != 0}});
        };
        options.onFailure = [](void* context, MQTTAsync_failureData* data) {
            take(context)({{"error", data->message != nullptr ? data->message : "refused"}});
        };
    }
}

MQTTAsync_responseOptions client::options_for(const answerer& answer,
                                              property_list& properties) const {
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.context = new answerer(answer);
    if (!is_v5_) {
        options.onSuccess = [](void* context, MQTTAsync_successData*) {
            take(context)(json::object());
        };
        options.onFailure = [](void* context, MQTTAsync_failureData* data) {
            const char* why = data != nullptr ? data->message : nullptr;
            take(context)({{"error", why != nullptr ? why : "failed"}});
        };
        return options;
    }
    options.properties = *properties.get();
    options.onSuccess5 = [](void* context, MQTTAsync_successData5* data) {
        take(context)(success(*data));
    };
    options.onFailure5 = [](void* context, MQTTAsync_failureData5* data) {
        take(context)(failure(*data));
    };
    return options;
}

void client::subscribe(const json& request, const answerer& answer) {
    property_list properties;
    if (request.contains("identifier"))
        properties.add(MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER,
                       request["identifier"].get<unsigned int>());
    MQTTAsync_responseOptions options = options_for(answer, properties);
    if (!is_v5_) {
        options.onSuccess = [](void* context, MQTTAsync_successData* data) {
            take(context)({{"codes", {data->alt.qos}}});
        };
    }
    const std::string filter = request.at("filter");
    require(MQTTAsync_subscribe(handle_, filter.c_str(), request.at("qos"), &options), "subscribe");
}

void client::publish(const json& request, const answerer& answer) {
    property_list properties;
    properties.add_all(request.at("properties"));
    MQTTAsync_responseOptions options = options_for(answer, properties);
    const std::string topic = request.at("topic");
    std::string payload = decode_base64(request.at("payload"));
    MQTTAsync_message message = MQTTAsync_message_initializer;
    message.payload = payload.data();
    message.payloadlen = static_cast<int>(payload.size());
    message.qos = request.at("qos");
    message.retained = request.at("retain").get<bool>() ? 1 : 0;
    if (is_v5_) message.properties = *properties.get();
    require(MQTTAsync_sendMessage(handle_, topic.c_str(), &message, &options), "publish");
}

void client::disconnect(const answerer& answer) {
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    if (is_v5_) options = MQTTAsync_disconnectOptions_initializer5;
    options.timeout = static_cast<int>(std::chrono::milliseconds(limit).count());
    options.context = new answerer(answer);
    if (is_v5_) {
        options.onSuccess5 = [](void* context, MQTTAsync_successData5*) {
            take(context)(json::object());
        };
    } else {
        options.onSuccess = [](void* context, MQTTAsync_successData*) {
            take(context)(json::object());
        };
    }
    require(MQTTAsync_disconnect(handle_, &options), "disconnect");
}

int client::on_message(void* self, char* topic, int length, MQTTAsync_message* message) {
    auto& it = *static_cast<client*>(self);
    const std::string_view payload(static_cast<const char*>(message->payload),
                                   static_cast<std::size_t>(message->payloadlen));
    it.write_({{"client", it.name_},
               {"topic", it.topic_of(topic, length, *message)},
               {"payload", encode_base64(payload)},
               {"qos", message->qos},
               {"retain", message->retained != 0},
               {"properties", to_json(message->properties)}});
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

std::string client::topic_of(char* topic, int length, const MQTTAsync_message& message) {
    std::string seen = length > 0 ? std::string(topic, static_cast<std::size_t>(length)) : topic;
    MQTTProperties properties = message.properties;
    if (MQTTProperties_hasProperty(&properties, MQTTPROPERTY_CODE_TOPIC_ALIAS) == 0) return seen;
    const int alias = MQTTProperties_getNumericValue(&properties, MQTTPROPERTY_CODE_TOPIC_ALIAS);
    if (!seen.empty()) topics_[alias] = seen;
    return topics_[alias];
}
