#include "policy/verdict_cache.hpp"

#include <utility>

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
        erase_entry(of->second, it);
        if (of->second.empty()) erase_client(of);
        return nullptr;
    }
    return &it->second;
}

void verdict_cache::store(std::string_view client_id, topic_action action, std::string_view topic,
                          const decision& made, instant now) {
    if (made.holds <= duration{0}) return;
    ++generation_;
    make_key(key_, action, topic);
    entry fresh{made, now + made.holds};
    const std::size_t more =
        bytes_of(key_, fresh) + allocated(client_id.size() + 1) + sizeof(entry);
    if (size_ >= most_ || bytes() + more > most_bytes_) clear();
    const auto [client, is_new_client] = clients_.try_emplace(std::string(client_id));
    if (is_new_client) bytes_ += text_bytes(client->first);
    entries& of = client->second;
    if (const auto before = of.find(key_); before != of.end()) erase_entry(of, before);
    bytes_ -= table_bytes(of);
    const auto added = of.emplace(key_, std::move(fresh)).first;
    bytes_ += table_bytes(of) + bytes_of(added->first, added->second);
    ++size_;
}

void verdict_cache::erase_entry(entries& of, entries::iterator at) noexcept {
    bytes_ -= bytes_of(at->first, at->second) + table_bytes(of);
    of.erase(at);
    shrink_if_sparse(of);
    bytes_ += table_bytes(of);
    --size_;
}

void verdict_cache::erase_client(map_by_text<entries>::iterator at) noexcept {
    for (const auto& [key, e] : at->second)
        bytes_ -= bytes_of(key, e);
    bytes_ -= table_bytes(at->second) + text_bytes(at->first);
    size_ -= at->second.size();
    clients_.erase(at);
    shrink_if_sparse(clients_);
}

void verdict_cache::forget(std::string_view client_id) {
    ++generation_;
    const auto it = clients_.find(client_id);
    if (it != clients_.end()) erase_client(it);
}

void verdict_cache::erase(entries& of, std::string_view topic) {
    ++generation_;
    for (const topic_action action : all_actions) {
        make_key(key_, action, topic);
        if (const auto it = of.find(key_); it != of.end()) erase_entry(of, it);
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
    clients_ = {};
    size_ = 0;
    bytes_ = 0;
}

}  // namespace amqtt
