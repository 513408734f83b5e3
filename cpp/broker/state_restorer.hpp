// What was stored of sessions and retained messages comes back, part by part.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "broker/journal.hpp"
#include "broker/outbox.hpp"
#include "broker/router.hpp"
#include "broker/session_registry.hpp"
#include "storage/state_changes.hpp"

namespace amqtt {

class state_restorer {
  public:
    struct open_delivery {
        session* to;
        message_ptr content;
        const delivery_row& row;
    };
    struct restored_session {
        std::string client_id;
        bool was_connected;  // when the broker that wrote it ended
    };

    // All must outlive it. now: the present time; log: for warnings.
    state_restorer(session_registry& sessions, router& routes, journal& changes, outbox& queues,
                   const instant& now, std::function<void(std::string)> log)
        : sessions_(sessions),
          router_(routes),
          journal_(changes),
          outbox_(queues),
          now_(now),
          log_(std::move(log)) {}

    // Rows come behind those that they refer to, in the same part or in a later one.
    void take(stored_state part, const std::function<void(session&)>& created);
    // All has come: removes from the store what is of no use, and adds what has no number yet.
    void finish();
    // What has no place in the store yet, or was not decided; to be delivered again.
    std::vector<open_delivery> open_deliveries() const;
    // Those of which a session is there, or was before another ended it.
    std::vector<restored_session> sessions() const;

  private:
    struct kept_message {
        message_ptr content;
        bool is_wanted = false;
    };

    // Null: there is one of that client already.
    session* restore_session(session_row& row);
    void restore_subscription(const subscription_row& row);
    void restore_delivery(const delivery_row& row);
    void restore_retained(const message_row& row);

    session_registry& sessions_;
    router& router_;
    journal& journal_;
    outbox& outbox_;
    const instant& now_;
    std::function<void(std::string)> log_;
    boost::unordered_flat_map<std::uint64_t, session*> found_;
    std::vector<std::uint64_t> connected_;  // when the broker that wrote it ended
    boost::unordered_flat_map<std::uint64_t, kept_message> messages_;
    // What is of no use, and what has no number yet: all changes come after all that is there.
    std::vector<std::uint64_t> useless_sessions_;
    std::vector<std::uint64_t> useless_subscriptions_;
    std::vector<std::uint64_t> useless_deliveries_;
    std::vector<std::uint64_t> useless_retained_;
    std::vector<subscription_row> new_subscriptions_;
    std::vector<delivery_row> new_deliveries_;
    std::vector<message_ptr> new_retained_;
};

}  // namespace amqtt
