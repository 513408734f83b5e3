#include "session/message_queue.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace amqtt {
namespace {

constexpr std::size_t smallest_capacity = 8;
constexpr std::size_t large_capacity = 1024;

}  // namespace

bool message_queue::push(queued_message m) {
    if (!has_room(m.content->size())) return false;
    push_unbounded(std::move(m));
    return true;
}

void message_queue::push_unbounded(queued_message m) {
    if (waiting_.full()) set_capacity(std::max(smallest_capacity, waiting_.capacity() * 2));
    bytes_ += cost_of(m.content->size());
    if (total_) total_->add(*m.content);
    if (m.content->expires_at()) next_expiry_ = std::min(next_expiry_, *m.content->expires_at());
    waiting_.push_back(std::move(m));
}

queued_message message_queue::pop_front() {
    queued_message first = std::move(waiting_.front());
    waiting_.pop_front();
    forget(first);
    // A backlog that is gone gives its memory back.
    if (waiting_.capacity() > large_capacity && waiting_.size() <= waiting_.capacity() / 8) {
        set_capacity(waiting_.empty() ? 0 : waiting_.capacity() / 4);
    }
    return first;
}

void message_queue::put_back(queued_message m) noexcept {
    try {
        if (waiting_.full()) waiting_.set_capacity(waiting_.capacity() + smallest_capacity);
    } catch (const std::bad_alloc&) {  // a backlog that was large has given its memory back
        return;
    }
    bytes_ += m.content->size();
    waiting_.push_front(std::move(m));
}

void message_queue::clear() {
    for (const queued_message& m : waiting_)
        forget(m);
    waiting_.clear();
    set_capacity(0);
    next_expiry_ = instant::max();
}

void message_queue::set_capacity(std::size_t capacity) {
    const std::size_t before = waiting_.capacity();
    waiting_.set_capacity(capacity);
    if (total_) {
        total_->resize(allocated(before * sizeof(queued_message)),
                       allocated(capacity * sizeof(queued_message)));
    }
}

}  // namespace amqtt
