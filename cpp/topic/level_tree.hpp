// What the subscription trie and the retained store share: a tree with a node per topic level.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "topic/filter.hpp"

namespace amqtt {

// Node is the type of the nodes, which derives from this one. Children are found by the exact
// text of their level; wildcards are the business of Node.
template <class Node>
struct level_node {
    level_node() = default;
    level_node(const level_node&) = delete;
    level_node& operator=(const level_node&) = delete;

    Node* child(std::string_view level) const noexcept {
        const auto it = children.find(level);
        return it == children.end() ? nullptr : it->second.get();
    }

    Node& child_or_new(std::string_view level) {
        if (Node* found = child(level)) return *found;
        auto fresh = std::make_unique<Node>();
        fresh->parent = static_cast<Node*>(this);
        fresh->name = level;
        Node& node = *fresh;
        children.emplace(std::string_view(node.name), std::move(fresh));
        return node;
    }

    Node* parent = nullptr;
    std::string name;  // the text of its level
    // Keys are views of the children's name.
    boost::unordered_flat_map<std::string_view, std::unique_ptr<Node>> children;
};

// Frees everything below root without recursion: a topic may have 32,768 levels. take_others
// moves children that a node keeps elsewhere into the given list.
template <class Node, class TakeOthers>
void destroy_children(Node& root, TakeOthers&& take_others) {
    std::vector<std::unique_ptr<Node>> doomed;
    const auto take_children = [&](Node& node) {
        for (auto& [name, child] : node.children)
            doomed.push_back(std::move(child));
        node.children.clear();
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
