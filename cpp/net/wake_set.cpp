#include "net/wake_set.hpp"

#ifdef __linux__
#include <cerrno>
#include <sys/epoll.h>
#include <system_error>
#include <unistd.h>
#endif

namespace amqtt {

#ifdef __linux__

namespace {

bool watch(int set, int descriptor) noexcept {
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    return ::epoll_ctl(set, EPOLL_CTL_ADD, descriptor, &wanted) == 0;
}

}  // namespace

wake_set::wake_set(int first) : fd_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (fd_ >= 0 && watch(fd_, first)) return;
    const int error = errno;
    if (fd_ >= 0) ::close(fd_);
    throw std::system_error(error, std::generic_category(), "epoll");
}

wake_set::~wake_set() {
    ::close(fd_);
}

bool wake_set::add(int descriptor) noexcept {
    if (!watch(fd_, descriptor)) return false;
    added_.push_back(descriptor);
    return true;
}

void wake_set::remove(int descriptor) noexcept {
    if (std::erase(added_, descriptor) > 0) {
        ::epoll_ctl(fd_, EPOLL_CTL_DEL, descriptor, nullptr);
    }
}

void wake_set::clear() noexcept {
    for (const int descriptor : added_)
        ::epoll_ctl(fd_, EPOLL_CTL_DEL, descriptor, nullptr);
    added_.clear();
}

#else

wake_set::wake_set(int first) : fd_(first) {}

wake_set::~wake_set() = default;

bool wake_set::add(int) noexcept {
    return false;
}

void wake_set::remove(int) noexcept {}

void wake_set::clear() noexcept {}

#endif

}  // namespace amqtt
