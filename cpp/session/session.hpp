// Session State of a client, as the server keeps it (section 4.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "base/by_text.hpp"
#include "base/timer_wheel.hpp"
#include "codec/subscribe.hpp"
#include "session/inflight_window.hpp"
#include "session/message_queue.hpp"
#include "session/packet_id_set.hpp"
#include "session/will.hpp"
#include "topic/retained_store.hpp"
#include "topic/subscription_trie.hpp"

namespace amqtt {

class session;
struct client;  // a network connection, see broker/client.hpp

// A subscription of a session; shared ones are the business of broker/.
// There may be millions: its name is in the same allocation.
struct subscription : trie_entry {
    static std::unique_ptr<subscription> create(std::string_view name);
    // The size of the type is not that of the allocation.
    static void operator delete(void* memory) noexcept { ::operator delete(memory); }

    // The filter as the client gave it, `$share/...` included.
    std::string_view name() const noexcept {
        return {reinterpret_cast<const char*>(this + 1), name_size};
    }

    // What it takes of memory itself.
    std::size_t own_bytes() const noexcept { return allocated(sizeof(subscription) + name_size); }

    std::uint16_t name_size = 0;
    std::uint32_t place = 0;  // of a shared one, in its group
    // What it counts for with its session: own_bytes(), and what was made for it in the trie.
    std::uint32_t charged = 0;
    session* subscriber = nullptr;
    subscription_options options;
    std::uint32_t id = 0;  // Subscription Identifier, 0: none
    // Set while its retained messages are still to be sent; of a shared one, while its session is
    // known not to be ready for messages.
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>
        waiting;
};

struct subscription_name {
    static std::string_view of(const std::unique_ptr<subscription>& s) noexcept {
        return s->name();
    }
};
using subscriptions_by_name = set_by_text<std::unique_ptr<subscription>, subscription_name>;

using waiting_subscriptions = boost::intrusive::list<
    subscription,
    boost::intrusive::member_hook<subscription, decltype(subscription::waiting),
                                  &subscription::waiting>,
    boost::intrusive::constant_time_size<false>>;

inline constexpr std::uint32_t never_expires = UINT32_MAX;

// What a session has while its client is away.
struct absence {
    instant since{0};
    timer expiry;
    // The will of the connection that is gone, while its delay lasts, and the timer of that.
    std::unique_ptr<will_message> will;
    timer will_delay;
};

// How far the retained messages of a subscription were sent.
struct retained_turn {
    retained_walk walk;
    qos granted;                     // when it began
    std::vector<message_ptr> found;  // by the walk
    std::size_t sent = 0;            // of those
    bool found_before = false;       // there was no room for the rest of those
};

class session {
  public:
    // total: what the messages of all sessions take together; null: nobody asks.
    session(std::string client_id, queue_limits limits, backlog* total = nullptr)
        : client_id_(std::move(client_id)), inflight_(total), queue_(limits, total) {}
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    const std::string& client_id() const noexcept { return client_id_; }

    // The subscription of exactly this filter, or null (3.1.1: MQTT-3.10.4-1).
    subscription* find_subscription(std::string_view name) noexcept;
    // Adds a subscription that is not there yet; the caller routes it.
    subscription& add_subscription(std::string_view name);
    // Removes a subscription that the caller does not route any more.
    void remove_subscription(std::string_view name);
    void remove_subscriptions() noexcept;
    auto& subscriptions() noexcept { return subscriptions_; }
    const auto& subscriptions() const noexcept { return subscriptions_; }

    inflight_window& inflight() noexcept { return inflight_; }
    message_queue& queue() noexcept { return queue_; }
    const message_queue& queue() const noexcept { return queue_; }
    packet_id_set& received_qos2() noexcept { return received_qos2_; }
    const packet_id_set& received_qos2() const noexcept { return received_qos2_; }

    // By which its client was admitted last.
    std::optional<std::string> user_name;
    // The number of the login that it was admitted with last; 0: none since the process began.
    std::uint64_t login = 0;
    // False until a client has been admitted to it: it is whose that will be.
    bool has_owner = false;
    // Of a subscriber inside this process, which has no connection; 0: a client's session.
    std::uint64_t local_id = 0;
    // That of a session which has ended, and is there until its subscriptions are removed.
    static constexpr std::uint64_t nobody = UINT64_MAX;
    bool has_ended() const noexcept { return local_id == nobody; }
    // The connection it is on, or null while the client is away.
    client* connection = nullptr;
    // Seconds it outlives its connection (Session Expiry Interval); in MQTT 3 that is 0 with
    // Clean Session 1 and for ever otherwise.
    std::uint32_t expiry_interval = 0;
    bool ends_with_connection() const noexcept { return expiry_interval == 0; }
    // PUBLISHes sent on the present connection that still count against the peer's Receive Maximum.
    std::uint32_t quota_used = 0;
    // By which the store knows it; 0: it is not kept there.
    std::uint64_t record = 0;
    // The batch of changes that has told the store of it; 0: it came from there.
    std::uint64_t begun_with = 0;
    // Null while it is on a connection, and before its first.
    std::unique_ptr<absence> away;
    // What away points to, made if it was null.
    absence& absence_begins();
    // Subscriptions whose retained messages are still to be sent, and how far that is with the
    // first; null: it has not begun.
    waiting_subscriptions wants_retained;
    std::unique_ptr<retained_turn> turn;
    // Its shared subscriptions whose groups know that it is not ready.
    waiting_subscriptions set_aside;
    // A message would be sent at once, or wait for nothing but its window.
    bool is_ready() const noexcept { return connection != nullptr && queue_.empty(); }
    // Messages in flight are still to be sent again on the present connection.
    bool resend_pending = false;
    // Room for another message is of use to somebody.
    bool has_more_to_send() const noexcept {
        return !queue_.empty() || resend_pending || !wants_retained.empty() || !set_aside.empty();
    }
    // The state of rights in which its subscriptions were allowed; 0: it is not known.
    std::uint32_t rights = 0;
    // The first so many messages of the queue are to be checked before they are sent.
    std::size_t unchecked = 0;

    // Set while messages wait that may expire.
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>
        expiring;
    // What its subscriptions were charged; their table comes to that.
    std::size_t subscription_charge = 0;
    // What it counts for among all sessions, its connection included.
    std::size_t counted_bytes = 0;

    // Scratch of the router: where in the list of targets it stands, for the current match.
    std::uint32_t route_index = 0;
    std::uint64_t route_mark = 0;

  private:
    std::string client_id_;
    subscriptions_by_name subscriptions_;
    inflight_window inflight_;
    message_queue queue_;
    packet_id_set received_qos2_;
};

using expiring_sessions = boost::intrusive::list<
    session,
    boost::intrusive::member_hook<session, decltype(session::expiring), &session::expiring>,
    boost::intrusive::constant_time_size<false>>;

}  // namespace amqtt
