#pragma once

#include <vector>

namespace amqtt {

// A descriptor that is readable while one of several others is, for an event loop to watch in place
// of these. It spares the loop to learn which they are, and what it registers never goes away
// under it.
class wake_set {
  public:
    // first is watched always. Throws std::system_error when the system has no descriptor left.
    explicit wake_set(int first);
    ~wake_set();
    wake_set(const wake_set&) = delete;
    wake_set& operator=(const wake_set&) = delete;

    int fd() const noexcept { return fd_; }
    // False, and nothing is watched, where the system cannot do this.
    bool add(int descriptor) noexcept;
    // Has to come before the descriptor is closed. Does nothing when it is not watched.
    void remove(int descriptor) noexcept;
    // Removes all but the first.
    void clear() noexcept;

  private:
    int fd_ = -1;
    std::vector<int> added_;
};

}  // namespace amqtt
