// The retained message of every topic.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "base/message.hpp"
#include "topic/level_tree.hpp"

namespace amqtt {

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
    void match(std::string_view filter, std::vector<message_ptr>& found) const;
    // Appends every retained message.
    void all(std::vector<message_ptr>& found) const;

    std::size_t size() const noexcept { return size_; }
    std::size_t bytes() const noexcept { return bytes_; }
    void clear();

  private:
    struct node : level_node<node> {
        message_ptr value;
    };

    const node* find_node(std::string_view topic) const noexcept;

    node root_;
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace amqtt
