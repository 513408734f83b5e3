// Finds the subscriptions whose filter matches a topic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/intrusive/list.hpp>

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
    bool is_next_of_walk = false;    // a suspended walk may go on with it
};

// Entries in the order in which they came. One pointer, as there may be millions of these.
class trie_entries {
  public:
    bool empty() const noexcept { return first_ == nullptr; }
    trie_entry* first() const noexcept { return first_; }
    // The one behind an entry, or null.
    trie_entry* after(const trie_entry& entry) const noexcept {
        return entry.next == first_ ? nullptr : entry.next;
    }
    void push_back(trie_entry& entry) noexcept;
    void erase(trie_entry& entry) noexcept;

  private:
    trie_entry* first_ = nullptr;
};

struct trie_node : level_node<trie_node> {
    static constexpr std::uint16_t most_pins = UINT16_MAX;

    bool is_unused() const noexcept {
        return pins == 0 && !has_children() && !wild && exact.empty();
    }

    // Suspended walks that are to visit it, for whom it stays; with the most there are, for ever.
    std::uint16_t pins = 0;

    // What few nodes have.
    struct wildcards {
        std::unique_ptr<trie_node> plus;  // the child for '+'
        trie_entries multi;               // filters with '#' right behind this level
    };

    trie_entries exact;  // filters that end at this level
    std::unique_ptr<wildcards> wild;
};

// How far a match has come.
struct trie_progress {
    struct visit {
        trie_node* node;
        std::uint32_t rest;  // of the topic, where it begins
        bool more;           // there is such a rest, though it may be an empty level
        bool exact_only;     // of the node nothing but the filters that end there
    };

    bool is_over() const noexcept { return pending.empty() && !next; }

    std::vector<visit> pending;
    trie_entry* next = nullptr;          // entry of a list that is being looked through
    const trie_entries* list = nullptr;  // that list
};

class subscription_trie;

// A match in parts, between which the trie may change: what is added meanwhile may be found or not,
// what is removed meanwhile is not.
class trie_walk : public boost::intrusive::list_base_hook<
                      boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  public:
    trie_walk(subscription_trie& trie, std::string_view topic, trie_progress at);
    ~trie_walk();
    trie_walk(const trie_walk&) = delete;
    trie_walk& operator=(const trie_walk&) = delete;

    bool is_over() const noexcept { return at_.is_over(); }
    std::string_view topic() const noexcept { return topic_; }
    // As match() with steps.
    void go_on(std::vector<trie_entry*>& found, std::size_t& steps);

  private:
    friend class subscription_trie;

    void suspend() noexcept;
    // Nodes that nothing but the walk has kept are freed.
    void wake();

    subscription_trie& trie_;
    std::string topic_;
    trie_progress at_;
};

class subscription_trie {
  public:
    subscription_trie() = default;
    // Outlives its walks.
    ~subscription_trie();
    subscription_trie(const subscription_trie&) = delete;
    subscription_trie& operator=(const subscription_trie&) = delete;

    // Adds an entry whose filter is valid; the entry stays the caller's and must be removed
    // before it dies.
    void insert(trie_entry& entry);
    void remove(trie_entry& entry);

    // Appends to found every entry whose filter matches. Does not allocate once warm.
    void match(std::string_view topic, std::vector<trie_entry*>& found);
    // The same with so many steps: visits of a node, and entries that are found. Takes those it
    // needs from steps. False: that was not enough, and go_on() has the rest.
    bool match(std::string_view topic, std::vector<trie_entry*>& found, std::size_t& steps);
    // A walk for the rest of the match() that was called last. Nothing may have changed since.
    std::unique_ptr<trie_walk> go_on(std::string_view topic);

    // The entries of exactly this filter; null: there are none.
    const trie_entries* find(std::string_view filter) const noexcept;

    std::size_t size() const noexcept { return size_; }
    // What its nodes and their tables take of memory; entries are the owner's.
    std::size_t bytes() const noexcept { return bytes_; }

  private:
    friend class trie_walk;
    using walks = boost::intrusive::list<trie_walk, boost::intrusive::constant_time_size<false>>;

    void advance(trie_progress& at, std::string_view topic, std::vector<trie_entry*>& found,
                 std::size_t& steps) const;
    void look_at(trie_progress& at, std::string_view topic) const;
    void erase(trie_entries& from, trie_entry& entry);
    void prune(trie_node* node);

    trie_node root_;
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;
    trie_progress progress_;  // scratch of match()
    walks walks_;
};

}  // namespace amqtt
