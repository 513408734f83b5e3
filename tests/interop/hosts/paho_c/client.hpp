// The client.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>

#include "json.hpp"

class client {
  public:
    using writer = std::function<void(const json&)>;
    using answerer = std::function<void(json)>;  // takes the result, or an `error`

    // Throws std::runtime_error where the library refuses what is asked, as the others do.
    client(std::string name, const json& request, writer write);
    ~client();
    client(const client&) = delete;
    client& operator=(const client&) = delete;

    void connect(const answerer& answer);
    void subscribe(const json& request, const answerer& answer);
    void publish(const json& request, const answerer& answer);
    void disconnect(const answerer& answer);

  private:
    static int on_message(void* self, char* topic, int length, MQTTAsync_message* message);

    void add_connect_properties(property_list& properties) const;
    void set_outcome(MQTTAsync_connectOptions& options, const answerer& answer) const;
    MQTTAsync_responseOptions options_for(const answerer& answer, property_list& properties) const;
    std::string topic_of(char* topic, int length, const MQTTAsync_message& message);

    const std::string name_;
    const json request_;
    const bool is_v5_;
    const writer write_;
    MQTTAsync handle_ = nullptr;
    std::unordered_map<int, std::string> topics_;  // by alias, which the library leaves to us
};
