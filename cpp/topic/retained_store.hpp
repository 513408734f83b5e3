#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/message.hpp"
#include "topic/level_tree.hpp"

namespace amqtt {

// The retained message of every topic. Outlives its walks.
class retained_store {
  public:
    retained_store() = default;
    ~retained_store() { clear(); }
    retained_store(const retained_store&) = delete;
    retained_store& operator=(const retained_store&) = delete;

    // Keeps m as the retained message of its topic in place of the one before.
    void store(message_ptr m);
    // Forgets the retained message of a topic; true if there was one.
    bool remove(std::string_view topic);
    // The retained message of a topic, or null.
    message_ptr find(std::string_view topic) const;
    // Appends to found every retained message whose topic the valid filter matches.
    void match(std::string_view filter, std::vector<message_ptr>& found);
    // Appends every retained message.
    void all(std::vector<message_ptr>& found) const;

    std::size_t size() const noexcept { return size_; }
    std::size_t bytes() const noexcept { return bytes_; }
    void clear();

  private:
    friend class retained_walk;

    struct node : level_node<node> {
        message_ptr value;
    };

    const node* find_node(std::string_view topic) const noexcept;
    // Frees the node of a topic, and those above it, as far as nothing needs them any more.
    void prune(std::string_view topic);
    void walk_ended();

    node root_;
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;
    // While there are walks no node is freed; the topics whose nodes may be after that.
    std::size_t walks_ = 0;
    std::vector<std::string> removed_meanwhile_;
};

// Finds the retained messages that a filter matches, some at a time; there may be millions. What is
// stored meanwhile may be found or not, what is removed meanwhile is not.
class retained_walk {
  public:
    // Of a valid filter.
    retained_walk(retained_store& store, std::string_view filter);
    ~retained_walk() { store_.walk_ended(); }
    retained_walk(const retained_walk&) = delete;
    retained_walk& operator=(const retained_walk&) = delete;

    bool is_over() const noexcept { return pending_.empty(); }
    // Looks at that many nodes, or the rest, and appends the messages that match. Returns how many
    // nodes those were.
    std::size_t look(std::size_t most, std::vector<message_ptr>& found);

  private:
    struct visit {
        const retained_store::node* at;
        std::uint32_t rest;  // of the filter, where it begins
        bool more;           // there is such a rest, though it may be an empty level
        bool whole_subtree;
        bool by_wildcard;  // which '$' at the start of a topic hides from
    };

    void look_at(const visit& here, std::vector<message_ptr>& found);

    retained_store& store_;
    std::string filter_;
    std::vector<visit> pending_;
};

}  // namespace amqtt
