// How a message gets to its subscribers: at once, or in several turns when very many filters may
// match its topic or very many subscribers get it.
#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "broker/broker.hpp"

namespace amqtt {
namespace {

// Subscribers that get a message at once, however few steps are left.
constexpr std::size_t most_at_once = 2048;

}  // namespace

std::unique_ptr<unfinished_publish> broker::unfinished(publication& p) {
    std::unique_ptr<unfinished_publish> rest(
        new unfinished_publish{publication(p.share(), p.level(), p.expiry_interval())});
    rest->content.set_publisher(p.publisher());
    return rest;
}

inline void broker::deliver_by(const topic_routes& of, const route& one, publication& p) {
    if (!one.subscriber) return;
    if (one.has_no_local && one.subscriber == p.publisher()) {
        if (const auto own = of.own_of(one)) deliver(*own, p, nullptr);
    } else {
        deliver(one, p, nullptr);
    }
}

std::unique_ptr<unfinished_publish> broker::begin_to_distribute(publication& p, bool& wanted) {
    const topic_routes* const found = router_.routes_of(p.topic(), budget_);
    const std::size_t copies = found ? found->routes.size() + found->groups.size() : 0;
    if (!found || copies > most_at_once) {
        auto rest = unfinished(p);
        begin_search(*rest, found);
        return rest;
    }
    wanted = copies != 0;
    budget_.spend(copies * step_cost::of_delivery(p.size()));
    if (copies == 1 && !p.retain()) p.set_for_one();
    for (const route& each : found->routes)
        deliver_by(*found, each, p);
    for (shared_group* const group : found->groups)
        distribute_to_group(*group, p);
    if (p.retain()) store_retained(p);
    check_delivered(p);
    return nullptr;
}

void broker::check_delivered(const publication& p) {
    if (std::exchange(was_undelivered_, false) && p.level() && *p.level() != qos::at_most_once) {
        throw std::bad_alloc();
    }
}

// A subscriber that comes before the end is to find what it is too late for among the retained
// messages, so that is stored first.
void broker::begin_search(unfinished_publish& u, const topic_routes* found) {
    u.search = found ? router_.keep(*found) : router_.search(u.content.topic());
    if (u.content.retain()) store_retained(u.content);
}

// The broker's own messages, and those whose publisher is gone, are published in their order.
void broker::distribute(publication& p) {
    std::unique_ptr<unfinished_publish> rest;
    if (publications_.empty()) {
        bool wanted = false;
        rest = begin_to_distribute(p, wanted);
        if (!rest) return;
    } else {
        rest = unfinished(p);
    }
    publish_later(std::move(rest));
}

void broker::publish_later(std::unique_ptr<unfinished_publish> rest) {
    publications_.push_back(std::move(rest));
    stand_in_line(publications_in_line_);
}

bool broker::go_on(unfinished_publish& u) {
    const std::uint64_t before = position();
    const bool is_over = distribute_part(u);
    check_delivered(u.content);
    if (const std::uint64_t number = since(before)) u.until = number;
    return is_over;
}

bool broker::distribute_part(unfinished_publish& u) {
    publication& p = u.content;
    if (!u.search) begin_search(u, router_.routes_of(p.topic(), budget_));
    while (!u.search->is_over()) {
        if (budget_.is_spent()) return false;
        const std::size_t most = (budget_.left() + step_cost::node - 1) / step_cost::node;
        std::size_t nodes = most;
        if (u.search->go_on(nodes)) router_.remember(p.topic(), *u.search);
        budget_.spend((most - nodes) * step_cost::node);
    }
    const topic_routes& found = u.search->found();
    const std::size_t cost = step_cost::of_delivery(p.size());
    for (; u.next_route < found.routes.size(); ++u.next_route) {
        if (budget_.is_spent()) return false;
        budget_.spend(cost);
        deliver_by(found, found.routes[u.next_route], p);
    }
    for (; u.next_group < found.groups.size(); ++u.next_group) {
        if (budget_.is_spent()) return false;
        budget_.spend(cost);
        if (found.groups[u.next_group]) distribute_to_group(*found.groups[u.next_group], p);
    }
    return true;
}

void broker::go_on_publishing() {
    while (!publications_.empty() && !budget_.is_spent()) {
        bool is_over = true;  // what fails is not tried again
        attempt([&] { is_over = go_on(*publications_.front()); });
        if (is_over) publications_.pop_front();
    }
    if (!publications_.empty()) stand_in_line(publications_in_line_);
}

// It is gone before its messages are published.
void broker::forget_publisher(const session& s) {
    for (const auto& each : publications_) {
        if (each->content.publisher() == &s) each->content.set_publisher(nullptr);
    }
}

void broker::distribute_to_group(shared_group& group, publication& p) {
    const qos level = p.level_for(qos::exactly_once);
    std::size_t looked_at = 0;
    const subscription* member =
        group.choose(settings_.shared, level, p.publisher(), nullptr, looked_at);
    budget_.spend(looked_at);
    if (member) deliver(route_of(*member), p, group.share());
}

}  // namespace amqtt
