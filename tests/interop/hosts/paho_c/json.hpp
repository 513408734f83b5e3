// JSON, and MQTT's properties and binary data as JSON shows them.
#pragma once

#include <MQTTAsync.h>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

using json = nlohmann::json;

std::string encode_base64(std::string_view bytes);
std::string decode_base64(const std::string& text);

// The library's property list, which copies what is added.
class property_list {
  public:
    property_list() = default;
    ~property_list() { MQTTProperties_free(&list_); }
    property_list(const property_list&) = delete;
    property_list& operator=(const property_list&) = delete;

    void add(MQTTPropertyCodes code, unsigned int number);
    void add(MQTTPropertyCodes code, const std::string& text);
    void add(MQTTPropertyCodes code, const std::string& name, const std::string& value);
    // Those of a message or a will.
    void add_all(const json& given);

    MQTTProperties* get() { return &list_; }

  private:
    void add(const MQTTProperty& property);

    MQTTProperties list_ = MQTTProperties_initializer;
};

// Those of a message; null objects stay away.
json to_json(const MQTTProperties& seen);
// The text of the first property of that kind, empty if there is none.
std::string text_of(const MQTTProperties& seen, MQTTPropertyCodes code);
