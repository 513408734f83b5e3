#include "broker/shared_group.hpp"

#include <algorithm>
#include <functional>

namespace amqtt {
namespace {

// A small generator is enough to spread load.
std::uint64_t next_random(std::uint64_t& state) noexcept {
    state ^= state << 13U;
    state ^= state >> 7U;
    state ^= state << 17U;
    return state;
}

bool is_ready(const subscription& member) noexcept {
    return member.subscriber->connection != nullptr && member.subscriber->queue().empty();
}

}  // namespace

void shared_group::remove(const subscription& member) {
    std::erase(members_, &member);
    turn_ = 0;
}

subscription* shared_group::preferred(shared_strategy strategy, const session* publisher,
                                      const session* except) {
    const std::size_t count = members_.size();
    std::size_t start = 0;
    switch (strategy) {
        case shared_strategy::round_robin:
            start = turn_++;
            break;
        case shared_strategy::random:
            start = static_cast<std::size_t>(next_random(random_state_));
            break;
        case shared_strategy::hash_of_publisher:
            if (publisher) start = std::hash<std::string>()(publisher->client_id());
            break;
        case shared_strategy::sticky:
            break;
    }
    subscription* any = nullptr;
    for (std::size_t i = 0; i < count; ++i) {
        subscription* member = members_[(start + i) % count];
        if (member->subscriber == except) continue;
        if (is_ready(*member)) return member;
        if (!any) any = member;
    }
    return any;
}

subscription* shared_group::choose(shared_strategy strategy, qos level, const session* publisher,
                                   const session* except) {
    subscription* chosen = preferred(strategy, publisher, except);
    const bool balanced =
        strategy == shared_strategy::round_robin || strategy == shared_strategy::random;
    if (!chosen || level == qos::at_most_once || !balanced) return chosen;
    for (subscription* member : members_) {
        const bool better =
            member->subscriber != except && is_ready(*member) &&
            member->subscriber->inflight().size() < chosen->subscriber->inflight().size();
        if (better) chosen = member;
    }
    return chosen;
}

}  // namespace amqtt
