#pragma once

#include "broker/hooks.hpp"

namespace amqtt {

// Native twin of AnonymousAuthPlugin: admits everyone, or everyone who names a user. No password
// is looked at.
class anonymous_auth {
  public:
    explicit anonymous_auth(bool allow_anonymous) noexcept : allow_anonymous_(allow_anonymous) {}

    verdict authenticate(const client& who) const noexcept {
        const auto& user_name = who.request->user_name;
        const bool named = user_name && !user_name->empty();
        return allow_anonymous_ || named ? verdict::allow : verdict::deny;
    }

  private:
    bool allow_anonymous_;
};

}  // namespace amqtt
