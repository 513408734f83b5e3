// What the subscription trie and the retained store share: a tree with a node per topic level.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>

#include "topic/filter.hpp"

namespace amqtt {

// Node is the type of the nodes, which derives from this one. Children are found by the exact
// text of their level; wildcards are the business of Node. Most nodes are leaves, of which there
// may be millions: those have no table of children.
template <class Node>
class level_node {
  public:
    level_node() = default;
    level_node(const level_node&) = delete;
    level_node& operator=(const level_node&) = delete;

    Node* child(std::string_view level) const noexcept {
        if (!children_) return nullptr;
        const auto it = children_->find(level);
        return it == children_->end() ? nullptr : *it;
    }

    Node& child_or_new(std::string_view level) {
        if (Node* found = child(level)) return *found;
        auto fresh = std::make_unique<Node>();
        fresh->parent = static_cast<Node*>(this);
        fresh->name = level;
        if (!children_) children_ = std::make_unique<table>();
        children_->insert(fresh.get());
        return *fresh.release();
    }

    bool has_children() const noexcept { return children_ != nullptr; }

    // Calls visit(Node&) for each child, in no order. visit must not add or remove.
    template <class Visit>
    void for_each_child(Visit&& visit) const {
        if (!children_) return;
        for (Node* child : *children_)
            visit(*child);
    }

    // Frees a child that was found by its text, with all that is below it.
    void remove_child(Node& gone) {
        const std::unique_ptr<Node> freed(&gone);
        children_->erase(&gone);
        if (children_->empty()) children_.reset();
    }

    // Appends the children to orphans, who own them from then on.
    void release_children(std::vector<std::unique_ptr<Node>>& orphans) {
        for_each_child([&](Node& child) { orphans.emplace_back(&child); });
        children_.reset();
    }

    Node* parent = nullptr;
    std::string name;  // the text of its level

  private:
    static std::string_view text_of(std::string_view level) noexcept { return level; }
    static std::string_view text_of(const Node* node) noexcept { return node->name; }

    struct name_hash {
        using is_transparent = void;
        std::size_t operator()(const auto& of) const noexcept {
            return boost::hash<std::string_view>()(text_of(of));
        }
    };
    struct same_name {
        using is_transparent = void;
        bool operator()(const auto& a, const auto& b) const noexcept {
            return text_of(a) == text_of(b);
        }
    };
    // Owns what it points to, see remove_child() and destroy_children().
    using table = boost::unordered_flat_set<Node*, name_hash, same_name>;

    std::unique_ptr<table> children_;
};

// Frees everything below root without recursion: a topic may have 32,768 levels. take_others
// moves children that a node keeps elsewhere into the given list.
template <class Node, class TakeOthers>
void destroy_children(Node& root, TakeOthers&& take_others) {
    std::vector<std::unique_ptr<Node>> doomed;
    const auto take_children = [&](Node& node) {
        node.release_children(doomed);
        take_others(node, doomed);
    };
    take_children(root);
    while (!doomed.empty()) {
        const std::unique_ptr<Node> node = std::move(doomed.back());
        doomed.pop_back();
        take_children(*node);
    }
}

}  // namespace amqtt
