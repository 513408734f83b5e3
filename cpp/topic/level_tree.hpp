// What the subscription trie and the retained store share: a tree whose nodes are topic levels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "base/by_text.hpp"
#include "base/footprint.hpp"
#include "topic/filter.hpp"

namespace amqtt {

// Node is the type of the nodes, which derives from this one and is not derived from. A node stands
// for one level, or for a run of levels that nothing branches off from: its label. Children are
// found by the first level of their label; wildcards are the business of Node.
//
// There may be millions of nodes, most of them leaves and most others with one child. So a label is
// in the same allocation as its node, and there is a table of children only where there are
// several.
template <class Node>
class level_node {
  public:
    level_node() = default;
    ~level_node() { delete table_of_children(); }
    level_node(const level_node&) = delete;
    level_node& operator=(const level_node&) = delete;
    // Of nodes with a label the size of the type is not that of the allocation.
    static void operator delete(void* memory) noexcept { ::operator delete(memory); }

    // The child whose label begins with that level, or null.
    Node* child(std::string_view level) const noexcept {
        if (const table* many = table_of_children()) {
            const auto it = many->find(level);
            return it == many->end() ? nullptr : *it;
        }
        auto* only = static_cast<Node*>(children_);
        return only && first_level(only->label()) == level ? only : nullptr;
    }
    // Precondition: no child has a label with the same first level.
    Node& add_child(std::string_view label) {
        Node& fresh = *with_label(label);
        fresh.parent = self();
        add(fresh);
        return fresh;
    }
    // For trees in which a label is one level.
    Node& child_or_new(std::string_view level) {
        Node* found = child(level);
        return found ? *found : add_child(level);
    }
    // Puts a node between this one and a child, which takes over the first levels of the child's
    // label: the first size characters of it, and the '/' behind them is in neither.
    Node& split_child(Node& below, std::size_t size) {
        Node& fresh = *with_label(below.label().substr(0, size));
        fresh.parent = self();
        take_out(below);
        below.skipped_ += static_cast<std::uint16_t>(size + 1);
        below.parent = &fresh;
        fresh.add(below);
        add(fresh);
        return fresh;
    }

    bool has_children() const noexcept { return children_ != nullptr; }

    // The child that the order of a tree begins with. Trees without an order have no use for it: of
    // several children it is the one that set_first_child() was called for last.
    Node* first_child() const noexcept {
        const table* many = table_of_children();
        return many ? many->first : static_cast<Node*>(children_);
    }
    void set_first_child(Node* first) noexcept {
        if (table* many = table_of_children()) many->first = first;
    }

    // What the node itself takes of memory, and its table of children besides.
    std::size_t node_bytes() const noexcept { return allocated(sizeof(Node) + label_end_); }
    static constexpr std::size_t node_bytes(std::size_t label_size) noexcept {
        return allocated(sizeof(Node) + label_size);
    }
    std::size_t table_of_children_bytes() const noexcept {
        const table* many = table_of_children();
        return many ? allocated(sizeof(table)) + table_bytes(*many) : 0;
    }

    // Calls visit(Node&) for each child, in no order. visit must not add or remove.
    template <class Visit>
    void for_each_child(Visit&& visit) const {
        if (const table* many = table_of_children()) {
            for (Node* child : *many)
                visit(*child);
        } else if (children_) {
            visit(*static_cast<Node*>(children_));
        }
    }

    // Frees a child that was found by its text, with all that is below it.
    void remove_child(Node& gone) {
        take_out(gone);
        delete &gone;
    }

    // Appends the children to orphans, who own them from then on.
    void release_children(std::vector<std::unique_ptr<Node>>& orphans) {
        for_each_child([&](Node& child) { orphans.emplace_back(&child); });
        forget_children();
    }

    std::string_view label() const noexcept {
        const auto* text = reinterpret_cast<const char*>(static_cast<const Node*>(this) + 1);
        return {text + skipped_, static_cast<std::size_t>(label_end_ - skipped_)};
    }

    Node* parent = nullptr;

  private:
    static std::string_view first_level(std::string_view label) noexcept {
        return label.substr(0, label.find('/'));
    }

    struct by_first_level {
        static std::string_view of(const Node* node) noexcept { return first_level(node->label()); }
    };
    // Owns what it points to, see remove_child() and destroy_children().
    struct table : set_by_text<Node*, by_first_level> {
        Node* first = nullptr;
    };

    static Node* with_label(std::string_view label) {
        void* memory = ::operator new(sizeof(Node) + label.size());
        auto* fresh = new (memory) Node();
        std::copy(label.begin(), label.end(), reinterpret_cast<char*>(fresh + 1));
        fresh->label_end_ = static_cast<std::uint16_t>(label.size());
        return fresh;
    }

    Node* self() noexcept { return static_cast<Node*>(this); }

    table* table_of_children() const noexcept {
        return has_table_ ? static_cast<table*>(children_) : nullptr;
    }

    void add(Node& fresh) {
        if (!children_) {
            children_ = &fresh;
            return;
        }
        if (!has_table_) {
            auto* many = new table;
            many->insert(static_cast<Node*>(children_));
            children_ = many;
            has_table_ = true;
        }
        table_of_children()->insert(&fresh);
    }

    void take_out(Node& gone) noexcept {
        table* many = table_of_children();
        if (many) many->erase(&gone);
        if (!many || many->empty()) {
            forget_children();
        } else {
            shrink_if_sparse(*many);
        }
    }

    void forget_children() noexcept {
        delete table_of_children();
        children_ = nullptr;
        has_table_ = false;
    }

    void* children_ = nullptr;  // the only one, or their table
    // Where in the text behind the node its label is; what was before it went to nodes above.
    std::uint16_t skipped_ = 0;
    std::uint16_t label_end_ = 0;
    bool has_table_ = false;
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
