#include "policy/verdict_cache.hpp"

namespace amqtt {
namespace {

constexpr topic_action all_actions[] = {topic_action::subscribe, topic_action::publish,
                                        topic_action::receive};

void make_key(std::string& key, topic_action action, std::string_view topic) {
    key.assign(1, static_cast<char>('0' + static_cast<int>(action)));
    key += topic;
}

}  // namespace

const decision* verdict_cache::find(std::string_view client_id, topic_action action,
                                    std::string_view topic, instant now) {
    memo& lately = memo_of(client_id, action, topic);
    if (lately.client.data() == client_id.data() && lately.client.size() == client_id.size() &&
        lately.action == action && lately.generation == generation_ && lately.topic == topic &&
        lately.found.until > now) {
        return &lately.found.made;
    }
    const entry* found = find_entry(client_id, action, topic, now);
    if (!found) return nullptr;
    if (topic.size() > longest_memo) return &found->made;
    lately.client = client_id;
    lately.action = action;
    lately.generation = generation_;
    lately.topic = topic;
    lately.found = *found;
    return &lately.found.made;
}

const verdict_cache::entry* verdict_cache::find_entry(std::string_view client_id,
                                                      topic_action action, std::string_view topic,
                                                      instant now) {
    const auto of = clients_.find(client_id);
    if (of == clients_.end()) return nullptr;
    make_key(key_, action, topic);
    const auto it = of->second.find(key_);
    if (it == of->second.end()) return nullptr;
    if (it->second.until <= now) {
        of->second.erase(it);
        --size_;
        return nullptr;
    }
    return &it->second;
}

void verdict_cache::store(std::string_view client_id, topic_action action, std::string_view topic,
                          const decision& made, instant now) {
    if (made.holds <= duration{0}) return;
    if (size_ >= most_) clear();
    ++generation_;
    make_key(key_, action, topic);
    entries& of = clients_.try_emplace(std::string(client_id)).first->second;
    const auto [it, is_new] = of.insert_or_assign(key_, entry{made, now + made.holds});
    if (is_new) ++size_;
}

void verdict_cache::forget(std::string_view client_id) {
    ++generation_;
    const auto it = clients_.find(client_id);
    if (it == clients_.end()) return;
    size_ -= it->second.size();
    clients_.erase(it);
}

void verdict_cache::erase(entries& of, std::string_view topic) {
    ++generation_;
    for (const topic_action action : all_actions) {
        make_key(key_, action, topic);
        size_ -= of.erase(key_);
    }
}

void verdict_cache::forget(std::string_view client_id, std::string_view topic) {
    const auto it = clients_.find(client_id);
    if (it != clients_.end()) erase(it->second, topic);
}

void verdict_cache::forget_topic(std::string_view topic) {
    for (auto& [id, of] : clients_)
        erase(of, topic);
}

void verdict_cache::clear() {
    ++generation_;
    clients_.clear();
    size_ = 0;
}

}  // namespace amqtt
