#include "policy/topic_acl.hpp"

#include <algorithm>

#include "topic/filter.hpp"

namespace amqtt {

bool covers(std::string_view allowed, std::string_view requested) noexcept {
    const bool starts_wild = allowed.starts_with('+') || allowed.starts_with('#');
    if (requested.starts_with('$') && starts_wild) return false;  // 3.1.1: MQTT-4.7.2-1
    level_split a{{}, allowed, true};
    level_split r{{}, requested, true};
    while (a.more && r.more) {
        a = split_level(a.rest);
        r = split_level(r.rest);
        if (a.level == "#") return true;
        if (r.level == "#" || (a.level != "+" && a.level != r.level)) return false;
    }
    // "a/#" covers "a".
    return !r.more && (!a.more || a.rest == "#");
}

opinion check_acl(const acl_settings& settings, const session& who, topic_action action,
                  std::string_view topic) {
    const acl_table& table = action == topic_action::publish     ? settings.publish
                             : action == topic_action::subscribe ? settings.subscribe
                                                                 : settings.receive;
    if (!table) return opinion::allow;
    const auto listed = table->find(who.user_name.value_or("anonymous"));
    if (listed == table->end()) return opinion::deny;
    const bool allowed = std::any_of(listed->second.begin(), listed->second.end(),
                                     [&](const auto& filter) { return covers(filter, topic); });
    return allowed ? opinion::allow : opinion::deny;
}

opinion check_taboo(const session& who, std::string_view topic) noexcept {
    const bool taboo = topic == "prohibited" || topic == "top-secret" || topic == "data/classified";
    return taboo && who.user_name != "admin" ? opinion::deny : opinion::allow;
}

}  // namespace amqtt
