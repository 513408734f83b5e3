// The packaged plugins that decide in the engine instead of in Python.
#pragma once

#include <optional>
#include <string_view>

#include "policy/topic_acl.hpp"

namespace amqtt {

struct policy_settings {
    // AnonymousAuthPlugin: admits everyone, or everyone who names a user. No password is looked at.
    bool authenticate_anonymous = false;
    bool allow_anonymous = true;
    // TopicTabooPlugin
    bool taboo = false;
    // TopicAccessControlListPlugin
    std::optional<acl_settings> acl;
};

class packaged_policy {
  public:
    explicit packaged_policy(policy_settings settings) : settings_(std::move(settings)) {}

    opinion authenticate(const connect_request& request) const noexcept {
        if (!settings_.authenticate_anonymous) return opinion::none;
        const bool named = request.user_name() && !request.user_name()->empty();
        return settings_.allow_anonymous || named ? opinion::allow : opinion::deny;
    }
    // Some packaged plugin has an opinion on topics.
    bool checks_topics() const noexcept { return settings_.taboo || settings_.acl; }
    opinion check_topic(const session& who, topic_action action, std::string_view topic) const {
        opinion found = opinion::none;
        if (settings_.taboo) found = check_taboo(who, topic);
        if (found != opinion::deny && settings_.acl) {
            found = check_acl(*settings_.acl, who, action, topic);
        }
        return found;
    }

  private:
    policy_settings settings_;
};

}  // namespace amqtt
