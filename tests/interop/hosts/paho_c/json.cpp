#include "json.hpp"

#include <new>
#include <stdexcept>

#include <openssl/evp.h>

namespace {

MQTTLenString borrow(const std::string& text) {
    // The library copies it and does not write to it.
    return {static_cast<int>(text.size()), const_cast<char*>(text.data())};
}

std::string to_string(const MQTTLenString& text) {
    return {text.data, static_cast<std::size_t>(text.len)};
}

}  // namespace

std::string encode_base64(std::string_view bytes) {
    std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                       reinterpret_cast<const unsigned char*>(bytes.data()),
                                       static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(length));
    return text;
}

std::string decode_base64(const std::string& text) {
    std::string bytes(text.size() / 4 * 3, '\0');
    const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                       reinterpret_cast<const unsigned char*>(text.data()),
                                       static_cast<int>(text.size()));
    if (length < 0) throw std::invalid_argument("not base64: " + text.substr(0, 40));
    // OpenSSL takes the padding for zeros.
    if (text.ends_with("==")) bytes.pop_back();
    if (text.ends_with('=')) bytes.pop_back();
    return bytes;
}

void property_list::add(const MQTTProperty& property) {
    if (MQTTProperties_add(&list_, &property) != 0) throw std::bad_alloc();
}

void property_list::add(MQTTPropertyCodes code, unsigned int number) {
    MQTTProperty made{};
    made.identifier = code;
    switch (MQTTProperty_getType(code)) {
        case MQTTPROPERTY_TYPE_BYTE:
            made.value.byte = static_cast<unsigned char>(number);
            break;
        case MQTTPROPERTY_TYPE_TWO_BYTE_INTEGER:
            made.value.integer2 = static_cast<unsigned short>(number);
            break;
        default:
            made.value.integer4 = number;
    }
    add(made);
}

void property_list::add(MQTTPropertyCodes code, const std::string& text) {
    MQTTProperty made{};
    made.identifier = code;
    made.value.data = borrow(text);
    add(made);
}

void property_list::add(MQTTPropertyCodes code, const std::string& name, const std::string& value) {
    MQTTProperty made{};
    made.identifier = code;
    made.value.data = borrow(name);
    made.value.value = borrow(value);
    add(made);
}

void property_list::add_all(const json& given) {
    for (const json& pair : given.value("user", json::array()))
        add(MQTTPROPERTY_CODE_USER_PROPERTY, pair[0].get<std::string>(), pair[1]);
    if (given.contains("content_type"))
        add(MQTTPROPERTY_CODE_CONTENT_TYPE, given["content_type"].get<std::string>());
    if (given.contains("response_topic"))
        add(MQTTPROPERTY_CODE_RESPONSE_TOPIC, given["response_topic"].get<std::string>());
    if (given.contains("correlation_data"))
        add(MQTTPROPERTY_CODE_CORRELATION_DATA, decode_base64(given["correlation_data"]));
    if (given.contains("expiry"))
        add(MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL, given["expiry"].get<unsigned int>());
}

json to_json(const MQTTProperties& seen) {
    json made = json::object();
    for (int at = 0; at < seen.count; ++at) {
        const MQTTProperty& one = seen.array[at];
        switch (one.identifier) {
            case MQTTPROPERTY_CODE_USER_PROPERTY:
                made["user"].push_back({to_string(one.value.data), to_string(one.value.value)});
                break;
            case MQTTPROPERTY_CODE_CONTENT_TYPE:
                made["content_type"] = to_string(one.value.data);
                break;
            case MQTTPROPERTY_CODE_RESPONSE_TOPIC:
                made["response_topic"] = to_string(one.value.data);
                break;
            case MQTTPROPERTY_CODE_CORRELATION_DATA:
                made["correlation_data"] = encode_base64(to_string(one.value.data));
                break;
            case MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL:
                made["expiry"] = one.value.integer4;
                break;
            case MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER:
                made["subscription_ids"].push_back(one.value.integer4);
                break;
            default:
                break;
        }
    }
    return made;
}

std::string text_of(const MQTTProperties& seen, MQTTPropertyCodes code) {
    for (int at = 0; at < seen.count; ++at)
        if (seen.array[at].identifier == code) return to_string(seen.array[at].value.data);
    return {};
}
