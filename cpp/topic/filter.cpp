#include "topic/filter.hpp"

#include <algorithm>

namespace amqtt {

bool is_topic_filter(std::string_view filter) noexcept {
    if (filter.empty()) return false;
    level_split split{{}, filter, true};
    while (split.more) {
        split = split_level(split.rest);
        const bool has_wildcard = split.level.find_first_of("+#") != std::string_view::npos;
        if (has_wildcard && split.level.size() != 1) return false;
        if (split.level == "#" && split.more) return false;
    }
    return true;
}

std::optional<parsed_filter> parse_filter(std::string_view text) noexcept {
    static constexpr std::string_view prefix = "$share/";
    if (!text.starts_with(prefix)) {
        return is_topic_filter(text) ? std::optional(parsed_filter{{}, text}) : std::nullopt;
    }
    const level_split split = split_level(text.substr(prefix.size()));
    const bool good_name =
        !split.level.empty() && split.level.find_first_of("+#") == std::string_view::npos;
    if (!good_name || !split.more || !is_topic_filter(split.rest)) return std::nullopt;
    return parsed_filter{split.level, split.rest};
}

std::size_t level_count(std::string_view text) noexcept {
    return 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '/'));
}

bool matches(std::string_view filter, std::string_view topic) noexcept {
    const bool starts_wild = filter.starts_with('+') || filter.starts_with('#');
    if (topic.starts_with('$') && starts_wild) return false;
    level_split f{{}, filter, true};
    level_split t{{}, topic, true};
    while (f.more && t.more) {
        f = split_level(f.rest);
        t = split_level(t.rest);
        if (f.level == "#") return true;
        if (f.level != "+" && f.level != t.level) return false;
    }
    // "a/#" matches its parent "a".
    return (!f.more || f.rest == "#") && !t.more;
}

}  // namespace amqtt
