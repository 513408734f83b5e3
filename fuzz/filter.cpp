// The subscription trie and the retained store find what matches() says, and no more.
#include "topic/filter.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "codec/topic_syntax.hpp"
#include "input.hpp"
#include "topic/retained_store.hpp"
#include "topic/subscription_trie.hpp"

namespace {

using namespace amqtt;

struct texts {
    std::vector<std::unique_ptr<trie_entry>> filters;
    std::vector<std::string> topics;
};

// Lines of text: each is a topic if it can be one, and a filter if it can be one.
texts read_texts(std::string_view lines) {
    texts read;
    while (!lines.empty() && read.filters.size() + read.topics.size() < 64) {
        const auto end = std::min(lines.find('\n'), lines.size());
        const std::string_view line = lines.substr(0, end);
        lines.remove_prefix(std::min(end + 1, lines.size()));
        if (is_topic_name(line)) read.topics.emplace_back(line);
        if (is_topic_filter(line)) {
            read.filters.push_back(std::make_unique<trie_entry>());
            read.filters.back()->filter = line;
        }
    }
    return read;
}

void check_trie(subscription_trie& trie, const texts& all) {
    for (const std::string& topic : all.topics) {
        std::vector<trie_entry*> found;
        trie.match(topic, found);
        for (const auto& entry : all.filters) {
            const bool expected = entry->node && matches(entry->filter, topic);
            const auto times = std::count(found.begin(), found.end(), entry.get());
            fuzz::check(times == (expected ? 1 : 0));
        }
    }
}

void check_retained(const texts& all) {
    retained_store store;
    for (const std::string& topic : all.topics)
        store.store(message::create(topic, as_bytes("p"), qos::at_most_once, true));
    for (const auto& entry : all.filters) {
        std::vector<message_ptr> found;
        store.match(entry->filter, found);
        for (const message_ptr& m : found)
            fuzz::check(matches(entry->filter, m->topic()));
        std::size_t expected = 0;
        for (const std::string& topic : all.topics) {
            const auto first = std::find(all.topics.begin(), all.topics.end(), topic);
            if (&*first == &topic && matches(entry->filter, topic)) ++expected;
        }
        fuzz::check(found.size() == expected);
    }
    for (const std::string& topic : all.topics)
        store.remove(topic);
    fuzz::check(store.size() == 0 && store.bytes() == 0);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const texts all = read_texts(as_text({data, size}));
    subscription_trie trie;
    for (const auto& entry : all.filters)
        trie.insert(*entry);
    check_trie(trie, all);
    for (std::size_t i = 0; i < all.filters.size(); i += 2)
        trie.remove(*all.filters[i]);
    check_trie(trie, all);
    for (const auto& entry : all.filters)
        trie.remove(*entry);
    fuzz::check(trie.size() == 0);
    check_retained(all);
    return 0;
}
