// What the standard says a Topic Name looks like (section 4.7). Filters are the business of
// topic/.
#pragma once

#include <string_view>

namespace amqtt {

// At least one character and no wildcard (3.1.1: MQTT-4.7.3-1, MQTT-3.3.2-2).
inline bool is_topic_name(std::string_view topic) noexcept {
    return !topic.empty() && topic.find_first_of("+#") == std::string_view::npos;
}

}  // namespace amqtt
