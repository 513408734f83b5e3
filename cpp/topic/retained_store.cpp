#include "topic/retained_store.hpp"

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
    while (at->parent && !at->value && !at->has_children()) {
        node* parent = at->parent;
        parent->remove_child(*at);
        at = parent;
    }
    return true;
}

message_ptr retained_store::find(std::string_view topic) const {
    const node* at = find_node(topic);
    return at ? at->value : nullptr;
}

void retained_store::match(std::string_view filter, std::vector<message_ptr>& found) const {
    struct visit {
        const node* at;
        std::string_view rest;
        bool more;
        bool whole_subtree;
    };
    std::vector<visit> pending{{&root_, filter, true, false}};
    while (!pending.empty()) {
        const visit here = pending.back();
        pending.pop_back();
        const level_split split = split_level(here.rest);
        const bool multi = here.whole_subtree || (here.more && split.level == "#");
        if ((multi || !here.more) && here.at->value) found.push_back(here.at->value);
        if (!multi && !here.more) continue;
        if (!multi && split.level != "+") {
            if (const node* next = here.at->child(split.level)) {
                pending.push_back({next, split.rest, split.more, false});
            }
            continue;
        }
        here.at->for_each_child([&](const node& next) {
            const bool hidden = here.at == &root_ && next.label().starts_with('$');
            if (!hidden) pending.push_back({&next, split.rest, split.more, multi});
        });
    }
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
