// Messages that wait for one subscriber, bounded in number and in bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include <boost/circular_buffer.hpp>

#include "base/message.hpp"
#include "base/qos.hpp"
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

struct queue_limits {
    std::size_t messages = 100'000;
    std::size_t bytes = 256 * 1024 * 1024;
};

class message_queue {
  public:
    explicit message_queue(queue_limits limits) noexcept : limits_(limits) {}

    // Whether a message of that size is within the bounds; one always is, however large.
    bool has_room(std::size_t size) const noexcept {
        return waiting_.size() < limits_.messages &&
               (waiting_.empty() || bytes_ + size <= limits_.bytes);
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
    // The one that was pushed last.
    queued_message& back() { return waiting_.back(); }
    // Calls visit(queued_message&) in the order of delivery.
    template <class Visit>
    void for_each(Visit&& visit) {
        for (queued_message& m : waiting_)
            visit(m);
    }
    // Takes out the messages that fulfil the condition, and calls removed(queued_message&) for each.
    template <class Condition, class Removed>
    void remove_if(Condition&& condition, Removed&& removed) {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < waiting_.size(); ++i) {
            if (condition(waiting_[i])) {
                bytes_ -= waiting_[i].content->size();
                removed(waiting_[i]);
            } else {
                if (kept != i) waiting_[kept] = std::move(waiting_[i]);
                ++kept;
            }
        }
        waiting_.erase_end(waiting_.size() - kept);
    }
    void clear();

  private:
    queue_limits limits_;
    boost::circular_buffer<queued_message> waiting_;
    std::size_t bytes_ = 0;
};

}  // namespace amqtt
