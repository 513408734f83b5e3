// Hands items from one thread to another in batches, with one wake-up a batch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace amqtt {

struct mailbox_limits {
    std::size_t items = 100'000;
    std::size_t bytes = 64 * 1024 * 1024;
};

// Any thread may push, one thread takes. wake runs on the pushing thread, outside the lock, when
// there is something to take of which the taking thread was not told.
template <class Item>
class mailbox {
  public:
    explicit mailbox(std::function<void()> wake, mailbox_limits limits = {})
        : wake_(std::move(wake)), limits_(limits) {}

    // False, and the item is counted as dropped, when a bound is reached. bytes is what the item
    // counts for.
    bool push(Item item, std::size_t bytes = 0) { return put(std::move(item), bytes, true); }

    // The same for what is in no hurry: it does not wake. It is taken with what comes behind it and
    // does, or when wake_for_rest() is called, which somebody has to do now and then.
    bool push_deferred(Item item, std::size_t bytes = 0) {
        return put(std::move(item), bytes, true, false);
    }
    void wake_for_rest() {
        {
            const std::lock_guard guard(mutex_);
            if (items_.empty() || std::exchange(woken_, true)) return;
        }
        wake_();
    }

    // Accepts the item whatever the bounds say: for what is bounded elsewhere or must not be lost.
    void push_unbounded(Item item, std::size_t bytes = 0) { put(std::move(item), bytes, false); }

    // The same for many at once, which are moved from.
    void push_all_unbounded(std::vector<Item>& items) {
        if (items.empty()) return;
        bool wakes = false;
        {
            const std::lock_guard guard(mutex_);
            items_.reserve(items_.size() + items.size());
            for (Item& item : items)
                items_.push_back(std::move(item));
            wakes = !std::exchange(woken_, true);
        }
        items.clear();
        if (wakes) wake_();
    }

    // Moves at most `most` items to the end of `into`; true when more are there. before_refill
    // runs before new items are looked for, so that a wake-up that comes later is not lost.
    template <class BeforeRefill>
    bool take(std::vector<Item>& into, std::size_t most, BeforeRefill&& before_refill) {
        if (next_ == batch_.size()) {
            batch_.clear();
            next_ = 0;
            before_refill();
            const std::lock_guard guard(mutex_);
            items_.swap(batch_);
            bytes_ = 0;
            woken_ = false;
        }
        const std::size_t last = next_ + std::min(batch_.size() - next_, most);
        into.reserve(into.size() + (last - next_));
        while (next_ < last)
            into.push_back(std::move(batch_[next_++]));
        return next_ < batch_.size();
    }

    bool is_over_half_full() const {
        const std::lock_guard guard(mutex_);
        return items_.size() > limits_.items / 2 || bytes_ > limits_.bytes / 2;
    }

    // push() would not take anything.
    bool is_full() const {
        const std::lock_guard guard(mutex_);
        return items_.size() >= limits_.items || bytes_ >= limits_.bytes;
    }

    std::uint64_t dropped() const {
        const std::lock_guard guard(mutex_);
        return dropped_;
    }

  private:
    bool put(Item item, std::size_t bytes, bool bounded, bool hurried = true) {
        bool wakes = false;
        {
            const std::lock_guard guard(mutex_);
            if (bounded && (items_.size() >= limits_.items || bytes_ + bytes > limits_.bytes)) {
                ++dropped_;
                return false;
            }
            items_.push_back(std::move(item));  // may throw: nothing has changed then
            wakes = hurried && !std::exchange(woken_, true);
            bytes_ += bytes;
        }
        if (wakes) wake_();
        return true;
    }

    std::function<void()> wake_;
    mailbox_limits limits_;
    std::vector<Item> batch_;  // the taking thread's: what it has not looked at yet
    std::size_t next_ = 0;     // position in batch_
    mutable std::mutex mutex_;
    std::vector<Item> items_;
    std::size_t bytes_ = 0;
    bool woken_ = false;  // for what is in items_
    std::uint64_t dropped_ = 0;
};

}  // namespace amqtt
