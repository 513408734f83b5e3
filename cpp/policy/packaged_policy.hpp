// The packaged plugins that run in the engine, behind the broker's hooks.
#pragma once

#include <functional>
#include <string>

#include "base/log.hpp"
#include "broker/hooks.hpp"
#include "policy/anonymous_auth.hpp"

namespace amqtt {

struct policy_settings {
    // Who may connect; without an authentication plugin nobody may.
    bool authenticate_anonymous = true;
    bool allow_anonymous = true;
    bool event_log = true;
};

class packaged_policy : public hooks {
  public:
    using log_sink = std::function<void(log_record)>;

    packaged_policy(const policy_settings& settings, log_sink sink);

    verdict authenticate(const client& who, std::uint64_t ticket) override;
    std::uint32_t mask() const noexcept override { return mask_; }
    void client_connected(const client& who) override;
    void client_disconnected(const client& who, reason_code reason) override;
    void log(log_level level, std::string text) override;

  private:
    void log_event(std::string_view event);

    policy_settings settings_;
    anonymous_auth anonymous_;
    log_sink sink_;
    std::uint32_t mask_ = 0;
};

}  // namespace amqtt
