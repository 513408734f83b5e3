// What the standard says a Topic Name looks like (section 4.7). Filters are the business of
// topic/.
#pragma once

#include <algorithm>
#include <string_view>

#include "codec/properties.hpp"

namespace amqtt {

// At least one character and no wildcard (3.1.1: MQTT-4.7.3-1, MQTT-3.3.2-2).
inline bool is_topic_name(std::string_view topic) noexcept {
    // find_first_of() would search the two characters once for each of the topic's.
    return !topic.empty() &&
           std::none_of(topic.begin(), topic.end(), [](char c) { return c == '+' || c == '#'; });
}

// What is wrong with the Response Topic among properties (5.0: MQTT-3.3.2-14), or nullptr.
inline const char* response_topic_problem(const properties& props) noexcept {
    const bool wrong = props.contains(property_id::response_topic) &&
                       !is_topic_name(props.text(property_id::response_topic));
    return wrong ? "Response Topic is empty or has a wildcard" : nullptr;
}

}  // namespace amqtt
