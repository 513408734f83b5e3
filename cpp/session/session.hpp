// Session State of a client, as the server keeps it (section 4.1).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/timer_wheel.hpp"
#include "codec/subscribe.hpp"
#include "session/inflight_window.hpp"
#include "session/message_queue.hpp"
#include "session/packet_id_set.hpp"
#include "topic/subscription_trie.hpp"

namespace amqtt {

class session;
struct client;  // a network connection, see broker/client.hpp

struct subscription : trie_entry {
    session* subscriber = nullptr;
    subscription_options options;
};

class session {
  public:
    session(std::string client_id, queue_limits limits)
        : client_id_(std::move(client_id)), queue_(limits) {}
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    const std::string& client_id() const noexcept { return client_id_; }

    // The subscription of exactly this filter, or null (3.1.1: MQTT-3.10.4-1).
    subscription* find_subscription(std::string_view filter) noexcept;
    // Adds a subscription that is not there yet; the caller puts it into the trie.
    subscription& add_subscription(std::string_view filter, subscription_options options);
    // Removes a subscription that the caller has taken out of the trie.
    void remove_subscription(std::string_view filter);
    auto& subscriptions() noexcept { return subscriptions_; }

    inflight_window& inflight() noexcept { return inflight_; }
    message_queue& queue() noexcept { return queue_; }
    const message_queue& queue() const noexcept { return queue_; }
    packet_id_set& received_qos2() noexcept { return received_qos2_; }

    // The connection it is on, or null while the client is away.
    client* connection = nullptr;
    // Ends with its connection (Clean Session 1).
    bool clean = true;
    // Fires when a disconnected session has expired.
    timer expiry;

    // Scratch of the router: where in the list of targets it stands, for the current match.
    std::uint64_t route_mark = 0;
    std::uint32_t route_index = 0;

  private:
    std::string client_id_;
    // Keys are views of the subscriptions' filter.
    boost::unordered_flat_map<std::string_view, std::unique_ptr<subscription>> subscriptions_;
    inflight_window inflight_;
    message_queue queue_;
    packet_id_set received_qos2_;
};

}  // namespace amqtt
