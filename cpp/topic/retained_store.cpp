#include "topic/retained_store.hpp"

#include <limits>
#include <utility>

namespace amqtt {

void retained_store::store(message_ptr m) {
    node* at = &root_;
    level_split split{{}, m->topic(), true};
    while (split.more) {
        split = split_level(split.rest);
        at = &at->child_or_new(split.level);
    }
    if (at->value) {
        bytes_ -= at->value->size();
        --size_;
    }
    bytes_ += m->size();
    ++size_;
    at->value = std::move(m);
}

const retained_store::node* retained_store::find_node(std::string_view topic) const noexcept {
    const node* at = &root_;
    level_split split{{}, topic, true};
    while (split.more && at) {
        split = split_level(split.rest);
        at = at->child(split.level);
    }
    return at;
}

bool retained_store::remove(std::string_view topic) {
    // The tree is ours, so what find_node() found may be changed.
    auto* at = const_cast<node*>(find_node(topic));
    if (!at || !at->value) return false;
    bytes_ -= at->value->size();
    --size_;
    at->value.reset();
    if (walks_ > 0) {
        removed_meanwhile_.emplace_back(topic);
    } else {
        prune(topic);
    }
    return true;
}

void retained_store::prune(std::string_view topic) {
    auto* at = const_cast<node*>(find_node(topic));  // as above
    while (at && at->parent && !at->value && !at->has_children()) {
        node* parent = at->parent;
        parent->remove_child(*at);
        at = parent;
    }
}

void retained_store::walk_ended() {
    if (--walks_ > 0) return;
    for (const std::string& topic : std::exchange(removed_meanwhile_, {}))
        prune(topic);
}

message_ptr retained_store::find(std::string_view topic) const {
    const node* at = find_node(topic);
    return at ? at->value : nullptr;
}

void retained_store::match(std::string_view filter, std::vector<message_ptr>& found) {
    retained_walk(*this, filter).look(std::numeric_limits<std::size_t>::max(), found);
}

retained_walk::retained_walk(retained_store& store, std::string_view filter)
    : store_(store), filter_(filter), pending_{{&store.root_, 0, true, false, false}} {
    ++store_.walks_;
}

std::size_t retained_walk::look(std::size_t most, std::vector<message_ptr>& found) {
    std::size_t looked_at = 0;
    for (; looked_at < most && !pending_.empty(); ++looked_at) {
        const visit here = pending_.back();
        pending_.pop_back();
        look_at(here, found);
    }
    return looked_at;
}

void retained_walk::look_at(const visit& here, std::vector<message_ptr>& found) {
    // Not before: to look at all nodes below the root at once would take long.
    const bool hidden = here.by_wildcard && here.at->parent == &store_.root_ &&
                        here.at->label().starts_with('$');
    if (hidden) return;
    const level_split split = split_level(std::string_view(filter_).substr(here.rest));
    const bool multi = here.whole_subtree || (here.more && split.level == "#");
    if ((multi || !here.more) && here.at->value) found.push_back(here.at->value);
    if (!multi && !here.more) return;
    const auto rest = static_cast<std::uint32_t>(filter_.size() - split.rest.size());
    if (!multi && split.level != "+") {
        if (const auto* next = here.at->child(split.level)) {
            pending_.push_back({next, rest, split.more, false, false});
        }
        return;
    }
    here.at->for_each_child([&](const retained_store::node& next) {
        pending_.push_back({&next, rest, split.more, multi, true});
    });
}

void retained_store::all(std::vector<message_ptr>& found) const {
    std::vector<const node*> pending{&root_};
    while (!pending.empty()) {
        const node* here = pending.back();
        pending.pop_back();
        if (here->value) found.push_back(here->value);
        here->for_each_child([&](const node& next) { pending.push_back(&next); });
    }
}

void retained_store::clear() {
    destroy_children(root_, [](node&, auto&) {});
    size_ = 0;
    bytes_ = 0;
}

}  // namespace amqtt
