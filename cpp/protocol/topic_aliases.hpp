// Topic Aliases of one connection (section 3.3.2.3.4 of 5.0), one class for each direction.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/by_text.hpp"
#include "base/footprint.hpp"
#include "base/lazy_ptr.hpp"

namespace amqtt {

// What the peer means by its aliases.
class received_aliases {
  public:
    // The peer may use 1 to maximum; 0: none.
    void set_maximum(std::uint16_t maximum) noexcept { maximum_ = maximum; }
    bool is_allowed(std::uint16_t alias) const noexcept { return alias != 0 && alias <= maximum_; }

    // Precondition of both: is_allowed(alias).
    void store(std::uint16_t alias, std::string_view topic) {
        std::vector<std::string>& topics = topics_.make();
        if (topics.size() < alias) {
            bytes_ += (alias - topics.size()) * sizeof(std::string);
            topics.resize(alias);
        }
        std::string& stored = topics[alias - 1U];
        bytes_ -= text_bytes(stored);
        if (stored.capacity() > 2 * topic.size()) stored = {};
        stored = topic;
        bytes_ += text_bytes(stored);
    }
    // What they take of memory.
    std::size_t bytes() const noexcept { return bytes_; }
    // Empty when the alias was never stored.
    std::string_view find(std::uint16_t alias) const noexcept {
        return alias <= topics_->size() ? std::string_view((*topics_)[alias - 1U])
                                        : std::string_view();
    }

  private:
    std::uint16_t maximum_ = 0;
    std::size_t bytes_ = 0;
    lazy_ptr<std::vector<std::string>> topics_;
};

// The aliases we give to topics: the first ones that are sent twice get one, for good.
class sent_aliases {
  public:
    struct choice {
        std::uint16_t alias = 0;  // 0: none
        bool known = false;       // the peer has been told the topic before
    };

    // The peer accepts 1 to maximum; 0: none.
    void set_maximum(std::uint16_t maximum) noexcept { maximum_ = maximum; }

    choice choose(std::string_view topic);
    // What they take of memory.
    std::size_t bytes() const noexcept { return watched_ ? watched_->bytes : 0; }

  private:
    struct watched {
        // Alias by topic; 0 for a topic that was sent once.
        map_by_text<std::uint16_t> topics;
        std::size_t bytes = 0;
    };

    std::uint16_t maximum_ = 0;
    std::uint16_t given_ = 0;
    std::unique_ptr<watched> watched_;  // from the first topic on
};

}  // namespace amqtt
