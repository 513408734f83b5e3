#include "session/message_queue.hpp"

#include <algorithm>
#include <utility>

namespace amqtt {
namespace {

constexpr std::size_t smallest_capacity = 8;

}  // namespace

bool message_queue::push(queued_message m) {
    if (!has_room(m.content->size())) return false;
    push_unbounded(std::move(m));
    return true;
}

void message_queue::push_unbounded(queued_message m) {
    if (waiting_.full()) {
        waiting_.set_capacity(std::max(smallest_capacity, waiting_.capacity() * 2));
    }
    bytes_ += m.content->size();
    waiting_.push_back(std::move(m));
}

queued_message message_queue::pop_front() {
    queued_message first = std::move(waiting_.front());
    waiting_.pop_front();
    bytes_ -= first.content->size();
    // A backlog that is gone gives its memory back.
    if (waiting_.empty() && waiting_.capacity() > 1024) waiting_.set_capacity(0);
    return first;
}

void message_queue::clear() {
    waiting_.clear();
    waiting_.set_capacity(0);
    bytes_ = 0;
}

}  // namespace amqtt
