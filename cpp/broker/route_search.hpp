// A search for the routes of a topic that takes several turns, because very many filters match it
// or may match it; or the routes of a topic that has very many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/route.hpp"
#include "topic/subscription_trie.hpp"

namespace amqtt {

// What a subscription adds to the route of its session.
void merge(route& into, const subscription& matched);
subscription_ids share_ids(std::vector<std::uint32_t> ids);

// Sessions may unsubscribe and end, and groups may, while it runs and while messages go the ways it
// has found: who is gone is forgotten, and an unsubscription counts for what is found later.
class route_search : public boost::intrusive::list_base_hook<
                         boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  public:
    // Goes on with a walk. generation: of subscriptions, when it began.
    route_search(std::unique_ptr<trie_walk> walk, std::uint64_t generation)
        : generation_(generation), walk_(std::move(walk)) {}
    // Nothing is left to be searched for.
    explicit route_search(topic_routes found) : found_(std::move(found)) {}
    route_search(const route_search&) = delete;
    route_search& operator=(const route_search&) = delete;

    // Takes the steps it needs from those there are. True: it is over.
    bool go_on(std::size_t& steps);
    bool is_over() const noexcept { return !walk_ && shared_ids_ == gathered_.size(); }

    // Once it is over. The subscriber of a route, or a group, is null when it is gone.
    const topic_routes& found() const noexcept { return found_; }
    std::uint64_t generation() const noexcept { return generation_; }
    // While it goes on.
    void add(std::span<trie_entry* const> entries);

    void forget(const session& gone);
    void forget(const shared_group& gone);

  private:
    // About a route, while not all of it was found.
    struct gathered {
        std::vector<std::uint32_t> ids;
        // Without No Local subscriptions, for what its subscriber publishes itself.
        route own;
        bool has_own = false;
        std::vector<std::uint32_t> own_ids;
    };

    void add(const subscription& matched);
    void complete(std::size_t index);
    void find_places();

    std::uint64_t generation_ = 0;
    std::unique_ptr<trie_walk> walk_;
    topic_routes found_;
    std::vector<gathered> gathered_;
    std::size_t shared_ids_ = 0;  // of how many routes the identifiers are complete
    // Where they are among the found ones; made when it is asked for.
    boost::unordered_flat_map<const session*, std::uint32_t> places_;
    boost::unordered_flat_map<const shared_group*, std::uint32_t> group_places_;
    bool has_places_ = false;
    std::vector<trie_entry*> matched_;  // scratch
};

}  // namespace amqtt
