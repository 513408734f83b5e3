// Collects what changes in sessions and retained messages into batches for the store, leaves out
// what is undone before its batch is handed over, and holds packets back until what they depend on
// is stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "broker/client.hpp"
#include "session/session.hpp"
#include "storage/state_store.hpp"

namespace amqtt {

class journal {
  public:
    // All must outlive it; now is the broker's present time.
    journal(state_store& store, const journal_settings& settings, const instant& now) noexcept
        : store_(store), settings_(settings), now_(now) {}

    // -- what changed

    // The session, its connection or its will; gives it a number if it is one to keep.
    void session_changed(session& s);
    // To be called while it still has its subscriptions and messages.
    void session_ended(session& s);
    void subscribed(const subscription& s);
    void unsubscribed(const subscription& s);
    // A message for a session. Returns its number, or 0 when it is none to keep.
    std::uint64_t delivery_added(const session& to, const message_ptr& content,
                                 const delivery_row& how);
    // Of number 0 nothing is kept, here and below.
    void delivery_changed(std::uint64_t id, std::uint16_t packet_id, delivery_state state);
    // content: the message, unless it was released before.
    void delivery_removed(std::uint64_t id, const message* content);
    // A delivery goes on without its content.
    void content_released(std::uint64_t id, const message& content);
    void received_added(const session& from, std::uint16_t packet_id);
    void received_removed(const session& from, std::uint16_t packet_id);
    // before and after: the retained message of one topic; null: none.
    void retained_changed(const message_ptr& before, const message_ptr& after);

    // -- what was restored, by the numbers it has

    void adopt(const subscription& s, std::uint64_t id);
    void adopt_delivery(std::uint64_t id, const message_ptr& content, std::uint64_t message);
    void adopt_retained(const message& m, std::uint64_t id);
    void adopt_session(std::uint64_t id) noexcept;
    // Of what is stored but of no use.
    void remove_session(std::uint64_t id);
    void remove_subscription(std::uint64_t id);
    void remove_delivery(std::uint64_t id);
    void remove_message(std::uint64_t id);
    void remove_retained(std::uint64_t id);

    // -- what depends on it

    // Rises with every change.
    std::uint64_t position() const noexcept { return position_; }
    // What a packet is to wait for that depends on the changes since a position; 0: nothing.
    std::uint64_t since(std::uint64_t position) const noexcept {
        return settings_.durable && position != position_ ? open_->number : 0;
    }
    // The same for one that may depend on anything before.
    std::uint64_t everything() const noexcept;
    // The same for one that says that a session is there.
    std::uint64_t existence_of(const session& s) const noexcept {
        return settings_.durable && s.begun_with > committed_ ? s.begun_with : 0;
    }
    // The client may have output that waits.
    void watch(client& c);
    // To be closed when the number is committed.
    void close_after(client& c, std::uint64_t number, reason_code reason);
    void forget(client& c) { waiting_.erase(&c); }

    // -- batches

    // Clients that cause changes are to wait.
    bool is_full() const noexcept;
    // Hands the batch over if it is time; else says when it will be.
    std::optional<instant> commit_if_due();
    void committed(std::uint64_t number);
    // What was not handed over yet, for the last commit; null: nothing.
    std::unique_ptr<state_changes> drain();

  private:
    struct kept_message {
        std::uint64_t id = 0;
        std::size_t references = 0;
    };
    using received_set = boost::unordered_flat_set<std::pair<std::uint64_t, std::uint16_t>>;

    static bool keeps(const session& s) noexcept {
        return s.record != 0 && !s.ends_with_connection();
    }
    void note();
    void release_message(const message& content);
    bool is_empty() const noexcept;
    std::unique_ptr<state_changes> take_batch();
    void begin_batch();
    void let_go(std::uint64_t number);

    state_store& store_;
    journal_settings settings_;
    const instant& now_;

    // The batch that collects. Deliveries and messages of it have numbers that follow each other;
    // those that were undone have number 0.
    std::unique_ptr<state_changes> open_ = first_batch();
    std::uint64_t first_delivery_ = 1;
    std::uint64_t first_message_ = 1;
    std::size_t undone_deliveries_ = 0;
    std::size_t undone_messages_ = 0;
    std::size_t bytes_ = 0;  // of its messages and retained messages
    boost::unordered_flat_set<session*> changed_sessions_;
    boost::unordered_flat_set<const subscription*> changed_subscriptions_;
    boost::unordered_flat_map<std::uint64_t, delivery_change> changed_deliveries_;
    received_set added_received_;
    received_set removed_received_;
    boost::unordered_flat_map<std::uint64_t, message_ptr> added_retained_;
    instant first_change_{0};
    bool is_touched_ = false;
    bool told_store_ = false;
    bool is_committing_ = false;

    std::uint64_t position_ = 0;
    std::uint64_t committed_ = 0;  // the last batch that is, or had nothing left in it
    std::uint64_t next_session_ = 1;
    std::uint64_t next_subscription_ = 1;
    std::uint64_t next_delivery_ = 1;
    std::uint64_t next_message_ = 1;
    std::uint64_t next_retained_ = 1;
    // The numbers of what is stored, or will be with this batch.
    boost::unordered_flat_map<const subscription*, std::uint64_t> subscriptions_;
    boost::unordered_flat_map<const message*, kept_message> messages_;
    boost::unordered_flat_map<const message*, std::uint64_t> retained_;
    boost::unordered_flat_set<client*> waiting_;

    static std::unique_ptr<state_changes> first_batch() {
        auto batch = std::make_unique<state_changes>();
        batch->number = 1;
        return batch;
    }
};

// While it lives, what a client is sent waits for the store: for everything so far, or for a
// number.
class commit_gate {
  public:
    // j null: nothing is kept, so nothing waits.
    commit_gate(journal* j, client& c, bool holds = true) noexcept
        : commit_gate(j, c, j != nullptr && holds ? j->everything() : 0) {}
    commit_gate(journal* j, client& c, std::uint64_t number) noexcept
        : journal_(number == 0 ? nullptr : j), client_(c) {
        if (journal_) client_.connection.gate().hold_for(number);
    }
    ~commit_gate() {
        if (!journal_) return;
        client_.connection.gate().hold_for(0);
        journal_->watch(client_);
    }
    commit_gate(const commit_gate&) = delete;
    commit_gate& operator=(const commit_gate&) = delete;

  private:
    journal* journal_;
    client& client_;
};

}  // namespace amqtt
