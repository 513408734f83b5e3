#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "base/message.hpp"
#include "base/time.hpp"
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
    // One whose time was over then, or null. Those that expired first come first.
    message_ptr expired(instant now) const;

    std::size_t size() const noexcept { return size_; }
    // What it takes of memory: messages, the nodes of their topics, and tables.
    std::size_t bytes() const noexcept { return bytes_; }
    // What both would be with a message of that topic and size, as message::size().
    struct extent {
        std::size_t size;
        std::size_t bytes;
    };
    extent with(std::string_view topic, std::size_t message_size) const noexcept;
    // There must be no walks.
    void clear();

  private:
    friend class retained_walk;

    // Siblings are in a list, the newest first: a walk goes on where it was, whatever was added or
    // removed meanwhile, and has an end.
    struct node : level_node<node> {
        bool is_unused() const noexcept { return !value && !has_children() && walks == 0; }

        std::uint32_t walks = 0;  // that are to go on here
        message_ptr value;
        node* next = nullptr;
        node* previous = nullptr;
    };

    // What the index of expiring messages takes for one of them.
    static constexpr std::size_t index_bytes = allocated(48);

    const node* find_node(std::string_view topic) const noexcept;
    node& child_or_new(node& parent, std::string_view level);
    void set_value(node& at, message_ptr m);
    // Frees a node and those above it, as far as nothing needs them.
    void prune(node* at);

    node root_;
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;
    std::set<std::pair<instant, node*>> expiring_;
};

// Finds the retained messages that a filter matches, some at a time; there may be millions. What is
// stored meanwhile may be found or not, what is removed meanwhile is not. Between two looks it
// keeps one node from being freed, and no more, however long it lasts.
class retained_walk {
  public:
    // Of a valid filter, whose text must outlive the walk.
    retained_walk(retained_store& store, std::string_view filter);
    ~retained_walk();
    retained_walk(const retained_walk&) = delete;
    retained_walk& operator=(const retained_walk&) = delete;

    bool is_over() const noexcept { return at_ == nullptr; }
    // Takes that many steps from node to node, or the rest, and appends the messages that match.
    // Returns how many steps those were.
    std::size_t look(std::size_t most, std::vector<message_ptr>& found);

  private:
    using node = retained_store::node;

    // Both: one step.
    void enter(std::vector<message_ptr>& found);
    void leave();
    // Goes to a child, or from one to its parent.
    void descend(node& to) noexcept;
    void ascend() noexcept;
    // The first of a child and its siblings that wildcards see, or null.
    node* seen(node* child) const noexcept;
    // Everything below the present node matches.
    bool is_in_multi() const noexcept { return depth_ >= multi_from_; }
    bool is_behind_filter() const noexcept { return level_ > filter_.size(); }
    std::string_view level() const noexcept {
        const std::string_view rest = filter_.substr(level_);
        return rest.substr(0, rest.find('/'));
    }

    retained_store& store_;
    std::string_view filter_;
    node* at_;                 // null: over
    bool is_leaving_ = false;  // at_ and what is below it were looked at
    std::size_t depth_ = 0;    // of at_; that of the root is 0
    std::size_t multi_from_;   // depth from which on '#' matches everything
    // Where in the filter the level for children of at_ begins: behind its end if it has none.
    std::size_t level_ = 0;
};

}  // namespace amqtt
