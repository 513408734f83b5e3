// Native twins of the packaged topic plugins.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/hooks.hpp"

namespace amqtt {

// What a plugin thinks of a question; none: it has no opinion, or there is no such plugin.
enum class opinion : std::uint8_t { none, allow, deny };

// Whether every topic that requested, a topic or a filter, stands for is one that allowed matches.
bool covers(std::string_view allowed, std::string_view requested) noexcept;

// Filters by user name. Nothing: everyone may do everything.
using acl_table = std::optional<boost::unordered_flat_map<std::string, std::vector<std::string>>>;

struct acl_settings {
    acl_table publish;
    acl_table subscribe;
    acl_table receive;
};

// TopicAccessControlListPlugin: a user may do what a filter in its list covers. Clients without
// user name are the user `anonymous`.
opinion check_acl(const acl_settings& settings, const session& who, topic_action action,
                  std::string_view topic);

// TopicTabooPlugin: three topics are for the user `admin` only.
opinion check_taboo(const session& who, std::string_view topic) noexcept;

}  // namespace amqtt
