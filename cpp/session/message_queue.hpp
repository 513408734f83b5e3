// Messages that wait for one subscriber, bounded in number and in bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <boost/circular_buffer.hpp>

#include "base/message.hpp"
#include "base/qos.hpp"
#include "base/time.hpp"
#include "session/backlog.hpp"
#include "session/subscription_ids.hpp"

namespace amqtt {

struct queued_message {
    message_ptr content;
    qos level = qos::at_most_once;  // the QoS to deliver it with
    bool retain = false;            // the RETAIN flag to deliver it with
    subscription_ids ids = nullptr;
    share_name share = nullptr;
    std::uint64_t record = 0;  // of the delivery in the store; 0: it is not kept there
};

// Of one session. Bytes are those of memory, as if no other session had the same messages.
struct queue_limits {
    std::size_t messages = 100'000;
    std::size_t bytes = 64 * 1024 * 1024;
};

class message_queue {
  public:
    // total: what all queues take together; null: nobody asks.
    explicit message_queue(queue_limits limits, backlog* total = nullptr) noexcept
        : limits_(limits), total_(total) {}
    ~message_queue() { clear(); }
    message_queue(const message_queue&) = delete;
    message_queue& operator=(const message_queue&) = delete;

    // What a message with that many bytes of texts counts for.
    static constexpr std::size_t cost_of(std::size_t size) noexcept {
        return message::footprint_of(size) + sizeof(queued_message);
    }

    // Whether a message of that size is within the bounds. One always is within those of the
    // session, however large.
    bool has_room(std::size_t size) const noexcept {
        const std::size_t cost = cost_of(size);
        return waiting_.size() < limits_.messages &&
               (waiting_.empty() || bytes_ + cost <= limits_.bytes) &&
               (!total_ || total_->has_room(bytes_, cost));
    }
    // False, and m is not taken, when there is no room: the newest message is dropped.
    bool push(queued_message m);
    // Queues m whatever the bounds say: for what is bounded elsewhere.
    void push_unbounded(queued_message m);

    bool empty() const noexcept { return waiting_.empty(); }
    std::size_t size() const noexcept { return waiting_.size(); }
    std::size_t bytes() const noexcept { return bytes_; }
    const queued_message& front() const { return waiting_.front(); }
    queued_message pop_front();
    // Undoes the pop_front() of just now.
    void put_back(queued_message m) noexcept;
    // The one that was pushed last.
    queued_message& back() { return waiting_.back(); }
    // Calls visit(queued_message&) in the order of delivery.
    template <class Visit>
    void for_each(Visit&& visit) {
        for (queued_message& m : waiting_)
            visit(m);
    }
    // Takes out the messages that fulfil the condition, and calls removed(queued_message&) for
    // each.
    template <class Condition, class Removed>
    void remove_if(Condition&& condition, Removed&& removed) {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < waiting_.size(); ++i) {
            if (condition(waiting_[i])) {
                forget(waiting_[i]);
                removed(waiting_[i]);
            } else {
                if (kept != i) waiting_[kept] = std::move(waiting_[i]);
                ++kept;
            }
        }
        waiting_.erase_end(waiting_.size() - kept);
    }
    void clear();

    // Before this time none of them expires.
    instant next_expiry() const noexcept { return next_expiry_; }
    // Removes those whose time is over; calls dropped(const queued_message&) for each before.
    template <class Dropped>
    void expire(instant now, Dropped&& dropped);

  private:
    void set_capacity(std::size_t capacity);
    void forget(const queued_message& m) noexcept {
        bytes_ -= cost_of(m.content->size());
        if (total_) total_->remove(*m.content);
    }

    queue_limits limits_;
    backlog* total_;
    boost::circular_buffer<queued_message> waiting_;
    std::size_t bytes_ = 0;
    instant next_expiry_ = instant::max();
};

template <class Dropped>
void message_queue::expire(instant now, Dropped&& dropped) {
    if (next_expiry_ > now) return;
    next_expiry_ = instant::max();
    auto to = waiting_.begin();
    for (auto from = waiting_.begin(); from != waiting_.end(); ++from) {
        const auto& expires_at = from->content->expires_at();
        if (expires_at && *expires_at <= now) {
            dropped(std::as_const(*from));
            forget(*from);
            continue;
        }
        if (expires_at) next_expiry_ = std::min(next_expiry_, *expires_at);
        if (to != from) *to = std::move(*from);
        ++to;
    }
    waiting_.erase(to, waiting_.end());
}

}  // namespace amqtt
