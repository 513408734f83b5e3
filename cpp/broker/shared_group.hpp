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
    bool empty() const noexcept { return members_.empty(); }
    // Its members, in the order in which they came.
    const std::vector<subscription*>& all_members() const noexcept { return members_; }
    // What it takes of memory without its members, and for each of them at most.
    std::size_t own_bytes() const noexcept {
        return allocated(sizeof(shared_group)) + allocated(sizeof(std::string) + 16) +
               text_bytes(*name_);
    }
    static constexpr std::size_t member_bytes = 64;

    void add(subscription& member);
    void remove(subscription& member);

    // The member that gets the next message, never one that is `except`; null when there is no
    // other. Members that can be sent to at once come first; at QoS 1 and 2 of some of them the one
    // with the fewest messages in flight. Takes no longer with more members, but for those whose
    // session has turned out not to be ready since it was looked at last.
    // looked_at: rises by the number of members that were looked at.
    subscription* choose(shared_strategy strategy, qos level, const session* publisher,
                         const session* except, std::size_t& looked_at);
    // The session of a member in session::set_aside is ready again; it was taken out of that list.
    void take_back(subscription& member);

  private:
    using members = std::vector<subscription*>;

    static void put(members& into, subscription& member);
    static void take_out(members& from, subscription& member) noexcept;
    void set_aside(subscription& member);
    // The member that gets all messages while it is ready, or null with strategies that have none.
    subscription* favourite(shared_strategy strategy, const session* publisher) const;
    std::size_t start_of(shared_strategy strategy);
    subscription* choose_ready(std::size_t start, std::size_t candidates, const session* except,
                               std::size_t& looked_at);

    share_name name_;
    members members_;  // in the order in which they came
    members ready_;    // when they were looked at last; the place of each is in it
    members aside_;    // not ready, likewise
    std::size_t turn_ = 0;
    std::uint64_t random_state_ = 0x9E3779B97F4A7C15ULL;
};

}  // namespace amqtt
