#include "topic/subscription_trie.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace amqtt {
namespace {

bool ends_in_multi_wildcard(std::string_view filter) noexcept {
    return filter == "#" || filter.ends_with("/#");
}

constexpr std::size_t wildcards_bytes = allocated(sizeof(trie_node::wildcards));

// Here and below, bytes is what the trie takes of memory.

trie_node::wildcards& wildcards_of(trie_node& node, std::size_t& bytes) {
    if (!node.wild) {
        node.wild = std::make_unique<trie_node::wildcards>();
        bytes += wildcards_bytes;
    }
    return *node.wild;
}

trie_node& plus_or_new(trie_node& node, std::size_t& bytes) {
    std::unique_ptr<trie_node>& plus = wildcards_of(node, bytes).plus;
    if (!plus) {
        plus = std::make_unique<trie_node>();
        plus->parent = &node;
        bytes += plus->node_bytes();
    }
    return *plus;
}

void drop_wildcards_if_unused(trie_node& node, std::size_t& bytes) noexcept {
    if (!node.wild || node.wild->plus || !node.wild->multi.empty()) return;
    node.wild.reset();
    bytes -= wildcards_bytes;
}

// The levels at the start of a filter that are no wildcards; the first is none.
std::string_view literal_run(std::string_view filter) noexcept {
    const auto wildcard = filter.find_first_of("+#");
    return wildcard == std::string_view::npos ? filter : filter.substr(0, wildcard - 1);
}

bool ends_level(std::string_view text, std::size_t at) noexcept {
    return at == text.size() || text[at] == '/';
}

// Size of the levels that both begin with; the first is the same in both.
std::size_t common_levels(std::string_view a, std::string_view b) noexcept {
    const auto differs = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    const auto at = static_cast<std::size_t>(differs.first - a.begin());
    return ends_level(a, at) && ends_level(b, at) ? at : a.rfind('/', at - 1);
}

// Moves on in text behind its first levels, which have that size.
void skip_levels(level_split& text, std::size_t size) noexcept {
    text.more = size < text.rest.size();
    text.rest.remove_prefix(text.more ? size + 1 : size);
}

// The node below this one for the first levels of rest that have no wildcard; moves on behind
// those it stands for.
trie_node& literal_or_new(trie_node& node, level_split& split, std::size_t& bytes) {
    const std::string_view run = literal_run(split.rest);
    trie_node* next = node.child(run.substr(0, run.find('/')));
    const std::size_t common = next ? common_levels(next->label(), run) : run.size();
    skip_levels(split, common);
    if (next && common == next->label().size()) return *next;
    bytes -= node.table_of_children_bytes();
    trie_node& fresh = next ? node.split_child(*next, common) : node.add_child(run);
    bytes += node.table_of_children_bytes() + fresh.node_bytes();
    return fresh;
}

}  // namespace

// -- entries

void trie_entries::push_back(trie_entry& entry) noexcept {
    if (!first_) first_ = entry.next = entry.previous = &entry;
    entry.next = first_;
    entry.previous = first_->previous;
    entry.previous->next = first_->previous = &entry;
}

void trie_entries::erase(trie_entry& entry) noexcept {
    if (first_ == &entry) first_ = entry.next == &entry ? nullptr : entry.next;
    entry.previous->next = entry.next;
    entry.next->previous = entry.previous;
    entry.next = entry.previous = nullptr;
}

// -- trie

subscription_trie::~subscription_trie() {
    destroy_children(root_, [](trie_node& node, auto& doomed) {
        if (node.wild && node.wild->plus) doomed.push_back(std::move(node.wild->plus));
    });
}

void subscription_trie::insert(trie_entry& entry) {
    trie_node* node = &root_;
    level_split split{{}, entry.filter, true};
    while (split.more && split.rest != "#") {
        if (const level_split next = split_level(split.rest); next.level == "+") {
            node = &plus_or_new(*node, bytes_);
            split = next;
        } else {
            node = &literal_or_new(*node, split, bytes_);
        }
    }
    trie_entries& place = split.more ? wildcards_of(*node, bytes_).multi : node->exact;
    entry.node = node;  // nothing throws any more
    place.push_back(entry);
    ++size_;
}

const trie_entries* subscription_trie::find(std::string_view filter) const noexcept {
    const trie_node* node = &root_;
    level_split split{{}, filter, true};
    while (split.more && split.rest != "#") {
        if (const level_split next = split_level(split.rest); next.level == "+") {
            node = node->wild ? node->wild->plus.get() : nullptr;
            split = next;
        } else {
            node = node->child(next.level);
            if (!node) return nullptr;
            const std::string_view label = node->label();
            if (!split.rest.starts_with(label) || !ends_level(split.rest, label.size())) {
                return nullptr;
            }
            skip_levels(split, label.size());
        }
        if (!node) return nullptr;
    }
    if (!split.more) return &node->exact;
    return node->wild ? &node->wild->multi : nullptr;
}

void subscription_trie::remove(trie_entry& entry) {
    if (!entry.node) return;
    trie_node& node = *entry.node;
    if (ends_in_multi_wildcard(entry.filter)) {
        erase(node.wild->multi, entry);
        drop_wildcards_if_unused(node, bytes_);
    } else {
        erase(node.exact, entry);
    }
    prune(&node);
    entry.node = nullptr;
    --size_;
}

void subscription_trie::erase(trie_entries& from, trie_entry& entry) {
    if (std::exchange(entry.is_next_of_walk, false)) {
        for (trie_walk& walk : walks_) {
            if (walk.at_.next != &entry) continue;
            walk.at_.next = from.after(entry);
            if (walk.at_.next) walk.at_.next->is_next_of_walk = true;
        }
    }
    from.erase(entry);
}

void subscription_trie::prune(trie_node* node) {
    while (node->parent && node->is_unused()) {
        trie_node* parent = node->parent;
        bytes_ -= node->node_bytes();
        if (parent->wild && parent->wild->plus.get() == node) {
            parent->wild->plus.reset();
            drop_wildcards_if_unused(*parent, bytes_);
        } else {
            bytes_ -= parent->table_of_children_bytes();
            parent->remove_child(*node);
            bytes_ += parent->table_of_children_bytes();
        }
        node = parent;
    }
}

// -- matching

void subscription_trie::match(std::string_view topic, std::vector<trie_entry*>& found) {
    std::size_t steps = std::numeric_limits<std::size_t>::max();
    match(topic, found, steps);
}

bool subscription_trie::match(std::string_view topic, std::vector<trie_entry*>& found,
                              std::size_t& steps) {
    progress_.pending.clear();
    progress_.pending.push_back({&root_, 0, true, false});
    progress_.next = nullptr;
    advance(progress_, topic, found, steps);
    return progress_.is_over();
}

std::unique_ptr<trie_walk> subscription_trie::go_on(std::string_view topic) {
    return std::make_unique<trie_walk>(*this, topic, std::exchange(progress_, {}));
}

void subscription_trie::advance(trie_progress& at, std::string_view topic,
                                std::vector<trie_entry*>& found, std::size_t& steps) const {
    while (true) {
        for (; at.next && steps > 0; --steps) {
            found.push_back(at.next);
            at.next = at.list->after(*at.next);
        }
        if (steps == 0 || at.pending.empty()) return;
        --steps;
        look_at(at, topic);
    }
}

void subscription_trie::look_at(trie_progress& at, std::string_view topic) const {
    const trie_progress::visit here = at.pending.back();
    at.pending.pop_back();
    const auto begin_with = [&at](const trie_entries& list) {
        at.list = &list;
        at.next = list.first();
    };
    if (here.exact_only) {
        begin_with(here.node->exact);
        return;
    }
    // A first level that starts with '$' is found by its text only.
    const bool is_hidden = here.node == &root_ && topic.starts_with('$');
    const trie_node::wildcards* wild = is_hidden ? nullptr : here.node->wild.get();
    if (!here.more) {
        if (wild && !wild->multi.empty()) {
            at.pending.push_back({here.node, here.rest, false, true});
            begin_with(wild->multi);
        } else {
            begin_with(here.node->exact);
        }
        return;
    }
    if (wild) begin_with(wild->multi);
    const std::string_view rest = topic.substr(here.rest);
    const auto behind = [&](std::size_t size) {
        return static_cast<std::uint32_t>(here.rest + size);
    };
    const level_split split = split_level(rest);
    if (wild && wild->plus) {
        const std::size_t size = split.level.size() + (split.more ? 1 : 0);
        at.pending.push_back({wild->plus.get(), behind(size), split.more, false});
    }
    trie_node* next = here.node->child(split.level);
    if (!next) return;
    const std::size_t size = next->label().size();
    if (rest.starts_with(next->label()) && ends_level(rest, size)) {
        const bool more = size < rest.size();
        at.pending.push_back({next, behind(more ? size + 1 : size), more, false});
    }
}

// -- walks

trie_walk::trie_walk(subscription_trie& trie, std::string_view topic, trie_progress at)
    : trie_(trie), topic_(topic), at_(std::move(at)) {
    trie_.walks_.push_back(*this);
    suspend();
}

trie_walk::~trie_walk() {
    wake();
}

void trie_walk::go_on(std::vector<trie_entry*>& found, std::size_t& steps) {
    wake();
    trie_.advance(at_, topic_, found, steps);
    suspend();
}

void trie_walk::suspend() noexcept {
    if (at_.next) at_.next->is_next_of_walk = true;
    for (const trie_progress::visit& each : at_.pending) {
        if (each.node->pins < trie_node::most_pins) ++each.node->pins;
    }
}

void trie_walk::wake() {
    for (const trie_progress::visit& each : at_.pending) {
        if (each.node->pins < trie_node::most_pins) --each.node->pins;
    }
    std::erase_if(at_.pending, [this](const trie_progress::visit& each) {
        if (!each.node->parent || !each.node->is_unused()) return false;
        trie_.prune(each.node);
        return true;
    });
}

}  // namespace amqtt
