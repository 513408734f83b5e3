#pragma once

#include <atomic>

namespace amqtt {

// A file descriptor that becomes readable when somebody has something to say.
class notifier {
  public:
    // Throws std::system_error when the system has no descriptor left.
    notifier();
    ~notifier();
    notifier(const notifier&) = delete;
    notifier& operator=(const notifier&) = delete;

    int fd() const noexcept { return read_fd_; }
    void notify() noexcept;
    // Makes fd() unreadable until the next notify(); after one that has not returned yet, it may
    // stay readable. Costs next to nothing when it was not readable.
    void reset() noexcept;

  private:
    int read_fd_ = -1;
    int write_fd_ = -1;  // the same as read_fd_ where the system has eventfd
    std::atomic<bool> told_{false};
};

}  // namespace amqtt
