#include "topic/subscription_trie.hpp"

namespace amqtt {
namespace {

bool ends_in_multi_wildcard(std::string_view filter) noexcept {
    return filter == "#" || filter.ends_with("/#");
}

trie_entries& list_of(const trie_entry& entry) noexcept {
    return ends_in_multi_wildcard(entry.filter) ? entry.node->multi : entry.node->exact;
}

trie_node& plus_or_new(trie_node& node) {
    if (!node.plus) {
        node.plus = std::make_unique<trie_node>();
        node.plus->parent = &node;
    }
    return *node.plus;
}

}  // namespace

subscription_trie::~subscription_trie() {
    destroy_children(root_, [](trie_node& node, auto& doomed) {
        if (node.plus) doomed.push_back(std::move(node.plus));
    });
}

void subscription_trie::insert(trie_entry& entry) {
    trie_node* node = &root_;
    level_split split{{}, entry.filter, true};
    while (split.more) {
        split = split_level(split.rest);
        if (split.level == "#") break;
        node = split.level == "+" ? &plus_or_new(*node) : &node->child_or_new(split.level);
    }
    entry.node = node;
    list_of(entry).push_back(entry);
    ++size_;
}

void subscription_trie::remove(trie_entry& entry) {
    if (!entry.node) return;
    trie_entries& list = list_of(entry);
    list.erase(list.iterator_to(entry));
    prune(entry.node);
    entry.node = nullptr;
    --size_;
}

void subscription_trie::prune(trie_node* node) {
    while (node->parent && node->is_unused()) {
        trie_node* parent = node->parent;
        if (parent->plus.get() == node) {
            parent->plus.reset();
        } else {
            parent->remove_child(*node);
        }
        node = parent;
    }
}

void subscription_trie::match(std::string_view topic, std::vector<trie_entry*>& found) {
    const auto add = [&found](trie_entries& list) {
        for (trie_entry& entry : list)
            found.push_back(&entry);
    };
    pending_.clear();
    pending_.push_back({&root_, topic, true});
    // A first level that starts with '$' is found by its text only.
    bool wildcards_apply = !topic.starts_with('$');
    while (!pending_.empty()) {
        const visit here = pending_.back();
        pending_.pop_back();
        if (wildcards_apply) add(here.node->multi);
        if (!here.more) {
            add(here.node->exact);
            continue;
        }
        const level_split split = split_level(here.rest);
        if (here.node->plus && wildcards_apply) {
            pending_.push_back({here.node->plus.get(), split.rest, split.more});
        }
        if (trie_node* next = here.node->child(split.level)) {
            pending_.push_back({next, split.rest, split.more});
        }
        wildcards_apply = true;
    }
}

}  // namespace amqtt
