// Decisions of plugins on topics that hold for a while.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/by_text.hpp"
#include "base/footprint.hpp"
#include "broker/hooks.hpp"

namespace amqtt {

// By client, action and topic. Bounded in number and in bytes of memory: a full cache starts
// afresh.
//
// What was asked lately is found without hashing anything: clients are told apart there by where
// their identifier is, so forget() is to be called when one that was asked about goes.
class verdict_cache {
  public:
    explicit verdict_cache(std::size_t most = 100'000,
                           std::size_t most_bytes = std::size_t{32} * 1024 * 1024) noexcept
        : most_(most), most_bytes_(most_bytes) {}

    // What was decided and holds still, until the next call of any of these; null: nothing.
    const decision* find(std::string_view client_id, topic_action action, std::string_view topic,
                         instant now);
    // Keeps a decision for as long as it holds.
    void store(std::string_view client_id, topic_action action, std::string_view topic,
               const decision& made, instant now);
    void forget(std::string_view client_id);
    void forget(std::string_view client_id, std::string_view topic);
    void forget_topic(std::string_view topic);
    void clear();

    std::size_t size() const noexcept { return size_; }
    // What it takes of memory.
    std::size_t bytes() const noexcept { return bytes_ + table_bytes(clients_); }

  private:
    struct entry {
        decision made;
        instant until{0};
    };
    // Keys are the action as one character and the topic.
    using entries = map_by_text<entry>;

    static std::size_t bytes_of(const std::string& key, const entry& e) noexcept {
        return text_bytes(key) + text_bytes(e.made.reason);
    }
    void erase_entry(entries& of, entries::iterator at) noexcept;
    void erase_client(map_by_text<entries>::iterator at) noexcept;

    // An answer that was given lately.
    struct memo {
        std::string_view client;
        topic_action action = topic_action::subscribe;
        std::uint64_t generation = 0;
        std::string topic;
        entry found;
    };
    static constexpr std::size_t memo_count = 256;
    static constexpr std::size_t longest_memo = 256;  // of topics

    // Topics of one client differ most at their ends.
    memo& memo_of(std::string_view client_id, topic_action action,
                  std::string_view topic) noexcept {
        const auto client = reinterpret_cast<std::uintptr_t>(client_id.data()) >> 5;
        const std::size_t end = topic.empty() ? 0 : static_cast<std::uint8_t>(topic.back());
        const std::size_t place = client * 3 + static_cast<std::size_t>(action) + end * 7;
        return memos_[place % memo_count];
    }
    const entry* find_entry(std::string_view client_id, topic_action action, std::string_view topic,
                            instant now);
    void erase(entries& of, std::string_view topic);

    std::size_t most_;
    std::size_t most_bytes_;
    std::size_t size_ = 0;
    std::size_t bytes_ = 0;  // without the table of clients
    map_by_text<entries> clients_;
    std::string key_;  // scratch
    std::array<memo, memo_count> memos_;
    std::uint64_t generation_ = 1;  // of memos that are true
};

}  // namespace amqtt
