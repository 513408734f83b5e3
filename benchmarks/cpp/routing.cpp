// Who gets a message: the trie, and the cache of routes before it.
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "broker/router.hpp"
#include "topic/subscription_trie.hpp"

namespace {

using namespace amqtt;

// That many filters; of ten, one each begins with '+', has one inside, and ends in '#'.
std::string filter_of(std::size_t i) {
    const std::string n = std::to_string(i);
    switch (i % 10) {
        case 3:
            return "+/a" + n + "/b/c";
        case 6:
            return "site/a" + n + "/+/c";
        case 9:
            return "site/a" + n + "/#";
        default:
            return "site/a" + n + "/b/c";
    }
}

struct filled_trie {
    explicit filled_trie(std::size_t count) : filters(count), entries(count) {
        for (std::size_t i = 0; i < count; ++i) {
            filters[i] = filter_of(i);
            entries[i].filter = filters[i];
            trie.insert(entries[i]);
        }
    }

    std::vector<std::string> filters;
    std::vector<trie_entry> entries;  // outlive the trie
    subscription_trie trie;
};

void match(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    filled_trie filled(count);
    std::vector<std::string> topics;
    for (std::size_t i = 0; i < 1024; ++i)
        topics.push_back("site/a" + std::to_string(i * 7919 % count) + "/b/c");
    std::vector<trie_entry*> found;
    std::size_t at = 0;
    for (auto _ : state) {
        found.clear();
        filled.trie.match(topics[at++ % topics.size()], found);
        benchmark::DoNotOptimize(found.data());
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(match)->Arg(10)->Arg(1000)->Arg(100'000)->Arg(1'000'000);

void insert_and_remove(benchmark::State& state) {
    filled_trie filled(static_cast<std::size_t>(state.range(0)));
    trie_entry entry;
    entry.filter = "site/other/b/c";
    for (auto _ : state) {
        filled.trie.insert(entry);
        filled.trie.remove(entry);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(insert_and_remove)->Arg(10)->Arg(100'000);

// Topics that are published to again and again.
void routes_of_hot_topics(benchmark::State& state) {
    router routes;
    session subscriber("s", {});
    for (std::size_t i = 0; i < 100'000; ++i) {
        const std::string filter = filter_of(i);
        routes.subscribe(subscriber, filter, {{}, filter}, {}, 0);
    }
    std::vector<std::string> topics;
    for (auto i = state.range(0); i > 0; --i)
        topics.push_back("site/a" + std::to_string(i * 7919 % 100'000) + "/b/c");
    work_budget budget;
    std::size_t at = 0;
    for (auto _ : state) {
        budget.begin_turn();
        benchmark::DoNotOptimize(routes.routes_of(topics[at++ % topics.size()], budget));
    }
    state.SetItemsProcessed(state.iterations());
    routes.unsubscribe_all(subscriber);
}
BENCHMARK(routes_of_hot_topics)->Arg(1)->Arg(1000)->Arg(10'000)->Arg(100'000);

}  // namespace
