// Finds the subscriptions whose filter matches a topic.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "topic/level_tree.hpp"

namespace amqtt {

struct trie_node;

// A filter in the trie. The owner derives from it what it needs and keeps it at one address.
struct trie_entry
    : boost::intrusive::list_base_hook<
          boost::intrusive::link_mode<boost::intrusive::normal_link>> {  // among those of its node
    std::string_view filter;    // its text is the owner's and stays while the entry is in the trie
    trie_node* node = nullptr;  // set while in the trie
    bool is_group = false;      // for the owner, who keeps entries of two kinds
};

using trie_entries =
    boost::intrusive::list<trie_entry, boost::intrusive::constant_time_size<false>>;

struct trie_node : level_node<trie_node> {
    bool is_unused() const noexcept {
        return !has_children() && !plus && exact.empty() && multi.empty();
    }

    std::unique_ptr<trie_node> plus;  // the child for '+'
    trie_entries exact;               // filters that end at this level
    trie_entries multi;               // filters with '#' right behind this level
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

  private:
    struct visit {
        trie_node* node;
        std::string_view rest;
        bool more;
    };

    void prune(trie_node* node);

    trie_node root_;
    std::size_t size_ = 0;
    std::vector<visit> pending_;  // scratch of match()
};

}  // namespace amqtt
