// Whose the parts of an engine are.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

namespace amqtt {

// The parts belong to the engine's thread while that runs, else to one caller at a time: the one
// that holds the lock. Between the two, while the thread is waited for, callers wait.
class engine_life {
  public:
    enum class phase : unsigned char {
        made,     // no thread yet
        running,  // what is posted to the thread is run by it
        joining,  // the thread is about to end
        over,     // there is none any more
    };

    // Waits while the thread is waited for. With the lock the phase does not change.
    std::unique_lock<std::mutex> lock() {
        std::unique_lock guard(mutex_);
        changed_.wait(guard, [this] { return phase_ != phase::joining; });
        return guard;
    }
    // For who has called lock() and still holds it.
    bool is_made() const noexcept { return phase_ == phase::made; }
    bool is_running() const noexcept { return phase_ == phase::running; }
    bool is_over() const noexcept { return phase_ == phase::over; }
    // The same; the thread was started, or could not be.
    void has_started() noexcept { phase_ = phase::running; }
    void has_ended() noexcept { phase_ = phase::over; }

    // True for the first caller, who is to end it. The others are to wait until that has happened.
    bool begin_end() {
        const std::lock_guard guard(mutex_);
        return !std::exchange(is_ending_, true);
    }
    void wait_until_over() {
        std::unique_lock guard(mutex_);
        changed_.wait(guard, [this] { return phase_ == phase::over; });
    }
    // For the first one, without the lock.
    void enter(phase next) {
        {
            const std::lock_guard guard(mutex_);
            phase_ = next;
        }
        changed_.notify_all();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    phase phase_ = phase::made;
    bool is_ending_ = false;
};

}  // namespace amqtt
