// A shared subscription: one of its members gets each message (section 4.8.2 of 5.0).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/settings.hpp"
#include "session/session.hpp"
#include "session/subscription_ids.hpp"

namespace amqtt {

class shared_group : public trie_entry {
  public:
    // name is the whole `$share/name/filter`.
    shared_group(std::string_view name, std::string_view inner_filter)
        : name_(std::make_shared<const std::string>(name)) {
        filter = std::string_view(*name_).substr(name_->size() - inner_filter.size());
        is_group = true;
    }

    const std::string& name() const noexcept { return *name_; }
    const share_name& share() const noexcept { return name_; }
    const std::vector<subscription*>& members() const noexcept { return members_; }
    bool empty() const noexcept { return members_.empty(); }
    // What it takes of memory without its members, and for each of them at most.
    std::size_t own_bytes() const noexcept {
        return allocated(sizeof(shared_group)) + allocated(sizeof(std::string) + 16) +
               text_bytes(*name_);
    }
    static constexpr std::size_t member_bytes = 64;

    void add(subscription& member) { members_.push_back(&member); }
    void remove(const subscription& member);

    // The member that gets the next message, never one that is `except`; null when there is no
    // other. Members that can be sent to at once come first; at QoS 1 and 2 among them those
    // with the fewest messages in flight.
    subscription* choose(shared_strategy strategy, qos level, const session* publisher,
                         const session* except);

  private:
    subscription* preferred(shared_strategy strategy, const session* publisher,
                            const session* except);

    share_name name_;
    std::vector<subscription*> members_;
    std::size_t turn_ = 0;
    std::uint64_t random_state_ = 0x9E3779B97F4A7C15ULL;
};

}  // namespace amqtt
