#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "base/by_text.hpp"
#include "session/session.hpp"

namespace amqtt {

// The sessions by client identifier (3.1.1: MQTT-3.1.3-2).
class session_registry {
  public:
    session_registry(queue_limits limits, std::uint64_t seed) : limits_(limits), random_(seed) {}

    session* find(std::string_view client_id) noexcept;
    // Precondition: there is none with this identifier.
    session& create(std::string client_id);
    void remove(session& s);
    // Removes it, but leaves it to the caller.
    std::unique_ptr<session> take(session& s);
    std::size_t size() const noexcept { return sessions_.size(); }

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
    std::mt19937_64 random_;
    set_by_text<std::unique_ptr<session>, by_client_id> sessions_;
};

}  // namespace amqtt
