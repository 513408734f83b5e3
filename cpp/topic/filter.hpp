// Topic Filters and how they match (section 4.7).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace amqtt {

// '#' alone in the last level, '+' alone in its level, at least one character
// (3.1.1: MQTT-4.7.1-2, -3, MQTT-4.7.3-1). The text must be valid UTF-8 already.
bool is_topic_filter(std::string_view filter) noexcept;

// A Topic Filter taken apart. The share name is empty for an ordinary subscription.
struct parsed_filter {
    std::string_view share;
    std::string_view filter;
};

// Takes `$share/name/filter` apart (section 4.8.2 of 5.0); nothing when it, or any other filter,
// has no valid syntax.
std::optional<parsed_filter> parse_filter(std::string_view text) noexcept;

// How many levels a topic or a filter has.
std::size_t level_count(std::string_view text) noexcept;

// Wildcards at the start never match a topic that starts with '$' (3.1.1: MQTT-4.7.2-1).
bool matches(std::string_view filter, std::string_view topic) noexcept;

// Splits the first level off text, a topic or a filter. Call as long as more is true.
struct level_split {
    std::string_view level;
    std::string_view rest;
    bool more = false;  // rest is there, though it may be an empty level
};

inline level_split split_level(std::string_view text) noexcept {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return {text, {}, false};
    return {text.substr(0, slash), text.substr(slash + 1), true};
}

}  // namespace amqtt
