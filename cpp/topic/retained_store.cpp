#include "topic/retained_store.hpp"

#include <limits>
#include <utility>

namespace amqtt {
namespace {

constexpr std::size_t no_multi = std::numeric_limits<std::size_t>::max();

std::size_t depth_of_multi(std::string_view filter) noexcept {
    const bool has_multi = filter == "#" || filter.ends_with("/#");
    return has_multi ? level_count(filter) - 1 : no_multi;
}

}  // namespace

void retained_store::store(message_ptr m) {
    node* at = &root_;
    level_split split{{}, m->topic(), true};
    while (split.more) {
        split = split_level(split.rest);
        at = &child_or_new(*at, split.level);
    }
    set_value(*at, std::move(m));
}

retained_store::node& retained_store::child_or_new(node& parent, std::string_view level) {
    if (node* found = parent.child(level)) return *found;
    node* const first = parent.first_child();
    bytes_ -= parent.table_of_children_bytes();
    node& fresh = parent.add_child(level);
    bytes_ += parent.table_of_children_bytes() + fresh.node_bytes();
    fresh.next = first;
    if (first) first->previous = &fresh;
    parent.set_first_child(&fresh);
    return fresh;
}

void retained_store::set_value(node& at, message_ptr m) {
    const auto count = [&](const message_ptr& value, bool is_new) {
        if (!value) return;
        const bool expires = value->expires_at().has_value();
        const std::size_t bytes = value->footprint() + (expires ? index_bytes : 0);
        bytes_ = is_new ? bytes_ + bytes : bytes_ - bytes;
        size_ = is_new ? size_ + 1 : size_ - 1;
    };
    // The place of the one before in the index is used again if it has one.
    decltype(expiring_)::node_type place;
    if (at.value && at.value->expires_at()) {
        place = expiring_.extract({*at.value->expires_at(), &at});
    }
    if (m && m->expires_at()) {
        if (place) {
            place.value() = {*m->expires_at(), &at};
            expiring_.insert(std::move(place));
        } else {
            expiring_.emplace(*m->expires_at(), &at);
        }
    }
    count(at.value, false);
    count(m, true);
    at.value = std::move(m);
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
    set_value(*at, nullptr);
    prune(at);
    return true;
}

void retained_store::prune(node* at) {
    while (at->parent && at->is_unused()) {
        node* parent = at->parent;
        if (at->previous) {
            at->previous->next = at->next;
        } else {
            parent->set_first_child(at->next);
        }
        if (at->next) at->next->previous = at->previous;
        bytes_ -= parent->table_of_children_bytes() + at->node_bytes();
        parent->remove_child(*at);
        bytes_ += parent->table_of_children_bytes();
        at = parent;
    }
}

message_ptr retained_store::find(std::string_view topic) const {
    const node* at = find_node(topic);
    return at ? at->value : nullptr;
}

void retained_store::match(std::string_view filter, std::vector<message_ptr>& found) {
    retained_walk(*this, filter).look(std::numeric_limits<std::size_t>::max(), found);
}

void retained_store::all(std::vector<message_ptr>& found) const {
    const node* at = &root_;
    while (at) {
        if (at->value) found.push_back(at->value);
        if (const node* below = at->first_child()) {
            at = below;
            continue;
        }
        while (at && !at->next)
            at = at->parent;
        if (at) at = at->next;
    }
}

message_ptr retained_store::expired(instant now) const {
    if (expiring_.empty() || expiring_.begin()->first > now) return nullptr;
    return expiring_.begin()->second->value;
}

retained_store::extent retained_store::with(std::string_view topic,
                                            std::size_t message_size) const noexcept {
    extent found{size_, bytes_ + message::footprint_of(message_size)};
    const node* at = &root_;
    level_split split{{}, topic, true};
    while (split.more) {
        split = split_level(split.rest);
        if (at) at = at->child(split.level);
        if (!at) found.bytes += node::node_bytes(split.level.size());
    }
    if (at && at->value) {
        found.bytes -= at->value->footprint();
    } else {
        ++found.size;
    }
    return found;
}

void retained_store::clear() {
    destroy_children(root_, [](node&, auto&) {});
    expiring_.clear();
    size_ = 0;
    bytes_ = 0;
}

// -- walks

retained_walk::retained_walk(retained_store& store, std::string_view filter)
    : store_(store), filter_(filter), at_(&store.root_), multi_from_(depth_of_multi(filter)) {
    ++at_->walks;
}

retained_walk::~retained_walk() {
    if (!at_) return;
    --at_->walks;
    store_.prune(at_);
}

std::size_t retained_walk::look(std::size_t most, std::vector<message_ptr>& found) {
    if (!at_) return 0;
    node* const before = at_;
    std::size_t steps = 0;
    for (; steps < most && at_; ++steps) {
        if (is_leaving_) {
            leave();
        } else {
            enter(found);
        }
    }
    if (at_) ++at_->walks;
    --before->walks;
    store_.prune(before);
    return steps;
}

void retained_walk::enter(std::vector<message_ptr>& found) {
    const bool all_below = is_in_multi();
    if ((all_below || is_behind_filter()) && at_->value) found.push_back(at_->value);
    node* below = nullptr;
    if (all_below || (!is_behind_filter() && level() == "+")) {
        below = seen(at_->first_child());
    } else if (!is_behind_filter()) {
        below = at_->child(level());
    }
    if (below) {
        descend(*below);
    } else {
        leave();
    }
}

void retained_walk::leave() {
    node* const done = at_;
    is_leaving_ = true;
    at_ = done->parent;
    if (!at_) return;
    ascend();
    if (!is_in_multi() && level() != "+") return;
    if (node* next = seen(done->next)) descend(*next);
}

void retained_walk::descend(node& to) noexcept {
    if (!is_in_multi()) level_ += level().size() + 1;
    ++depth_;
    at_ = &to;
    is_leaving_ = false;
}

void retained_walk::ascend() noexcept {
    --depth_;
    if (depth_ >= multi_from_) return;
    // To the level before: behind the '/' before it, if there is one.
    const std::size_t end = level_ - 1;
    const auto slash = end == 0 ? std::string_view::npos : filter_.rfind('/', end - 1);
    level_ = slash == std::string_view::npos ? 0 : slash + 1;
}

retained_walk::node* retained_walk::seen(node* child) const noexcept {
    if (depth_ > 0) return child;
    while (child && child->label().starts_with('$'))
        child = child->next;
    return child;
}

}  // namespace amqtt
