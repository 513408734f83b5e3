#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "base/by_text.hpp"
#include "base/system_random.hpp"
#include "session/session.hpp"

namespace amqtt {

// The sessions by client identifier (3.1.1: MQTT-3.1.3-2).
class session_registry {
  public:
    // seed: for tests, of the identifiers that new_client_id() gives; none: nobody can predict
    // them. total: what the messages of all sessions take together, which must outlive the
    // registry.
    session_registry(queue_limits limits, std::optional<std::uint64_t> seed, backlog& total)
        : limits_(limits), total_(total) {
        if (seed) repeatable_.emplace(*seed);
    }

    session* find(std::string_view client_id) noexcept;
    // Precondition: there is none with this identifier.
    session& create(std::string client_id);
    void remove(session& s);
    // Removes it, but leaves it to the caller.
    std::unique_ptr<session> take(session& s);
    std::size_t size() const noexcept { return sessions_.size(); }

    // Notes what a session takes of memory, besides subscriptions and messages.
    void count(session& s, std::size_t bytes) noexcept {
        bytes_ += bytes - s.counted_bytes;
        s.counted_bytes = bytes;
    }
    // What all of them take, with the table they are found by.
    std::size_t bytes() const noexcept { return bytes_ + table_bytes(sessions_); }

    // An identifier no session has, for a client that sent none.
    std::string new_client_id();

    template <class Visit>
    void for_each(Visit&& visit) {
        for (const auto& s : sessions_)
            visit(*s);
    }

  private:
    struct by_client_id {
        static std::string_view of(const std::unique_ptr<session>& s) noexcept {
            return s->client_id();
        }
    };

    queue_limits limits_;
    system_random random_;
    std::optional<std::mt19937_64> repeatable_;
    backlog& total_;
    std::size_t bytes_ = 0;
    set_by_text<std::unique_ptr<session>, by_client_id> sessions_;
};

}  // namespace amqtt
