#include "protocol/topic_aliases.hpp"

namespace amqtt {
namespace {

// Topics watched for a second use; beyond that it is found out about no more.
constexpr std::size_t watched_topics = 1024;
constexpr std::size_t watched_bytes = 128 * 1024;  // of memory
// What a topic takes beside a text that is short: a place in a table that may be half empty.
constexpr std::size_t place_bytes = 96;
// An alias takes three bytes itself.
constexpr std::size_t shortest_topic = 4;

}  // namespace

sent_aliases::choice sent_aliases::choose(std::string_view topic) {
    if (maximum_ == 0 || topic.size() < shortest_topic) return {};
    if (!watched_) watched_ = std::make_unique<watched>();
    auto& topics = watched_->topics;
    const auto it = topics.find(topic);
    if (it == topics.end()) {
        const std::size_t cost = place_bytes + allocated(topic.size() + 1);
        const bool has_room =
            topics.size() < watched_topics && watched_->bytes + cost <= watched_bytes;
        if (given_ < maximum_ && has_room) {
            topics.emplace(topic, 0);
            watched_->bytes += cost;
        }
        return {};
    }
    if (it->second != 0) return {it->second, true};
    if (given_ == maximum_) return {};
    it->second = ++given_;
    return {given_, false};
}

}  // namespace amqtt
