#include "bridge/notifier.hpp"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

namespace amqtt {

#ifdef __linux__

notifier::notifier() : read_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (read_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    write_fd_ = read_fd_;
}

#else

notifier::notifier() {
    int ends[2];
    if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    for (const int end : ends) {
        ::fcntl(end, F_SETFL, O_NONBLOCK);
        ::fcntl(end, F_SETFD, FD_CLOEXEC);
    }
    read_fd_ = ends[0];
    write_fd_ = ends[1];
}

#endif

notifier::~notifier() {
    if (write_fd_ != read_fd_) ::close(write_fd_);
    ::close(read_fd_);
}

void notifier::notify() noexcept {
    const std::uint64_t one = 1;
    // Full means there is a notification already.
    [[maybe_unused]] const auto written = ::write(write_fd_, &one, sizeof one);
    told_ = true;  // after that: who finds it false and does not read is woken once too often
}

void notifier::reset() noexcept {
    if (!told_.exchange(false)) return;
    std::uint64_t ignored[32];
    while (::read(read_fd_, ignored, sizeof ignored) == sizeof ignored) {
    }
}

}  // namespace amqtt
