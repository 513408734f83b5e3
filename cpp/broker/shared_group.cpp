#include "broker/shared_group.hpp"

#include <functional>
#include <string>
#include <vector>

namespace amqtt {
namespace {

// A small generator is enough to spread load.
std::uint64_t next_random(std::uint64_t& state) noexcept {
    state ^= state << 13U;
    state ^= state >> 7U;
    state ^= state << 17U;
    return state;
}

// Of whom the one with the fewest messages in flight is chosen.
constexpr std::size_t most_candidates = 8;

}  // namespace

void shared_group::put(members& into, subscription& member) {
    member.place = static_cast<std::uint32_t>(into.size());
    into.push_back(&member);
}

void shared_group::take_out(members& from, subscription& member) noexcept {
    from.back()->place = member.place;
    from[member.place] = from.back();
    from.pop_back();
}

void shared_group::add(subscription& member) {
    members_.push_back(&member);
    if (member.subscriber->is_ready()) {
        put(ready_, member);
    } else {
        set_aside(member);
    }
}

void shared_group::remove(subscription& member) {
    std::erase(members_, &member);
    take_out(member.waiting.is_linked() ? aside_ : ready_, member);
    if (member.waiting.is_linked()) member.waiting.unlink();
    turn_ = 0;
}

void shared_group::set_aside(subscription& member) {
    put(aside_, member);
    member.subscriber->set_aside.push_back(member);
}

void shared_group::take_back(subscription& member) {
    take_out(aside_, member);
    put(ready_, member);
}

subscription* shared_group::favourite(shared_strategy strategy, const session* publisher) const {
    if (strategy == shared_strategy::sticky) return members_.front();
    if (strategy != shared_strategy::hash_of_publisher) return nullptr;
    const std::size_t hash = publisher ? std::hash<std::string>()(publisher->client_id()) : 0;
    return members_[hash % members_.size()];
}

std::size_t shared_group::start_of(shared_strategy strategy) {
    if (strategy == shared_strategy::round_robin) return turn_++;
    if (strategy == shared_strategy::random) {
        return static_cast<std::size_t>(next_random(random_state_));
    }
    return 0;
}

subscription* shared_group::choose_ready(std::size_t start, std::size_t candidates,
                                         const session* except, std::size_t& looked_at) {
    subscription* best = nullptr;
    for (std::size_t i = 0; i < ready_.size() && candidates > 0;) {
        ++looked_at;
        subscription& member = *ready_[(start + i) % ready_.size()];
        session& s = *member.subscriber;
        if (!s.is_ready()) {
            take_out(ready_, member);
            set_aside(member);
            continue;  // another is in its place
        }
        ++i;
        if (&s == except) continue;
        --candidates;
        if (!best || s.inflight().size() < best->subscriber->inflight().size()) best = &member;
    }
    return best;
}

subscription* shared_group::choose(shared_strategy strategy, qos level, const session* publisher,
                                   const session* except, std::size_t& looked_at) {
    if (members_.empty()) return nullptr;
    subscription* const first = favourite(strategy, publisher);
    const bool is_possible =
        first && first->subscriber != except && !first->subscriber->has_ended();
    ++looked_at;
    if (is_possible && first->subscriber->is_ready()) return first;
    const std::size_t start = start_of(strategy);
    const bool is_balanced = !first && level != qos::at_most_once;
    if (subscription* found =
            choose_ready(start, is_balanced ? most_candidates : 1, except, looked_at)) {
        return found;
    }
    if (is_possible) return first;
    for (std::size_t i = 0; i < aside_.size(); ++i, ++looked_at) {
        subscription* const member = aside_[(start + i) % aside_.size()];
        if (member->subscriber != except && !member->subscriber->has_ended()) return member;
    }
    return nullptr;
}

}  // namespace amqtt
