// Finds the subscriptions whose filter matches a topic.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "topic/level_tree.hpp"

namespace amqtt {

struct trie_node;

// A filter in the trie. The owner derives from it what it needs and keeps it at one address.
struct trie_entry {
    std::string_view filter;     // its text is the owner's and stays while the entry is in the trie
    trie_node* node = nullptr;   // set while in the trie
    trie_entry* next = nullptr;  // among those of its node, in a ring
    trie_entry* previous = nullptr;  // likewise
    bool is_group = false;           // for the owner, who keeps entries of two kinds
};

// Entries in the order in which they came. One pointer, as there may be millions of these.
class trie_entries {
  public:
    bool empty() const noexcept { return first_ == nullptr; }
    void push_back(trie_entry& entry) noexcept;
    void erase(trie_entry& entry) noexcept;

    template <class Visit>
    void for_each(Visit&& visit) const {
        if (!first_) return;
        trie_entry* entry = first_;
        do {
            visit(*entry);
            entry = entry->next;
        } while (entry != first_);
    }

  private:
    trie_entry* first_ = nullptr;
};

struct trie_node : level_node<trie_node> {
    bool is_unused() const noexcept { return !has_children() && !wild && exact.empty(); }

    // What few nodes have.
    struct wildcards {
        std::unique_ptr<trie_node> plus;  // the child for '+'
        trie_entries multi;               // filters with '#' right behind this level
    };

    trie_entries exact;  // filters that end at this level
    std::unique_ptr<wildcards> wild;
};

class subscription_trie {
  public:
    subscription_trie() = default;
    ~subscription_trie();
    subscription_trie(const subscription_trie&) = delete;
    subscription_trie& operator=(const subscription_trie&) = delete;

    // Adds an entry whose filter is valid; the entry stays the caller's and must be removed
    // before it dies.
    void insert(trie_entry& entry);
    void remove(trie_entry& entry);

    // Appends to found every entry whose filter matches. Does not allocate once warm.
    void match(std::string_view topic, std::vector<trie_entry*>& found);

    std::size_t size() const noexcept { return size_; }
    // What its nodes and their tables take of memory; entries are the owner's.
    std::size_t bytes() const noexcept { return bytes_; }

  private:
    struct visit {
        trie_node* node;
        std::string_view rest;
        bool more;
    };

    void prune(trie_node* node);

    trie_node root_;
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;
    std::vector<visit> pending_;  // scratch of match()
};

}  // namespace amqtt
