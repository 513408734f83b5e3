#include "protocol/topic_aliases.hpp"

namespace amqtt {
namespace {

// Topics watched for a second use; beyond that it is found out about no more.
constexpr std::size_t watched_topics = 1024;
constexpr std::size_t watched_bytes = 256 * 1024;
// An alias takes three bytes itself.
constexpr std::size_t shortest_topic = 4;

}  // namespace

sent_aliases::choice sent_aliases::choose(std::string_view topic) {
    if (maximum_ == 0 || topic.size() < shortest_topic) return {};
    if (!watched_) watched_ = std::make_unique<watched>();
    auto& topics = watched_->topics;
    const auto it = topics.find(topic);
    if (it == topics.end()) {
        const bool has_room =
            topics.size() < watched_topics && watched_->bytes + topic.size() <= watched_bytes;
        if (given_ < maximum_ && has_room) {
            topics.emplace(topic, 0);
            watched_->bytes += topic.size();
        }
        return {};
    }
    if (it->second != 0) return {it->second, true};
    if (given_ == maximum_) return {};
    it->second = ++given_;
    return {given_, false};
}

}  // namespace amqtt
