// The way of whole batches from one thread to another.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace amqtt {

struct lane_counts {
    std::uint64_t batches = 0;  // each is two locks: one to put it there, one to take it
    std::uint64_t wake_ups = 0;

    lane_counts& operator+=(const lane_counts& other) noexcept {
        batches += other.batches;
        wake_ups += other.wake_ups;
        return *this;
    }
};

// One thread pushes, one takes. Batches arrive in their order.
template <class Batch>
class batch_channel {
  public:
    using batch_ptr = std::unique_ptr<Batch>;

    // wake runs on the pushing thread and must lead to take().
    explicit batch_channel(std::function<void()> wake) : wake_(std::move(wake)) {}

    // Without urgent the taker finds the batch when it comes by anyway. Else it is woken, unless it
    // was since it last took.
    // If this throws, batch is as before.
    void push(batch_ptr&& batch, bool urgent) {
        bool wakes = false;
        {
            const std::lock_guard guard(mutex_);
            batches_.push_back(nullptr);
            batches_.back() = std::move(batch);
            ++counts_.batches;
            wakes = urgent && is_to_wake();
        }
        if (wakes) wake_();
    }
    // What was pushed is urgent.
    void wake() {
        bool wakes = false;
        {
            const std::lock_guard guard(mutex_);
            wakes = is_to_wake();
        }
        if (wakes) wake_();
    }

    // Replaces what is in `into` by all there is.
    void take(std::vector<batch_ptr>& into) {
        into.clear();
        const std::lock_guard guard(mutex_);
        into.swap(batches_);
        is_woken_ = false;
    }

    lane_counts counts() const {
        const std::lock_guard guard(mutex_);
        return counts_;
    }

  private:
    bool is_to_wake() noexcept {
        if (std::exchange(is_woken_, true)) return false;
        ++counts_.wake_ups;
        return true;
    }

    std::function<void()> wake_;
    mutable std::mutex mutex_;
    std::vector<batch_ptr> batches_;
    bool is_woken_ = false;
    lane_counts counts_;
};

}  // namespace amqtt
