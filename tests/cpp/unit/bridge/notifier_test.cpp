#include "bridge/notifier.hpp"

#include <fcntl.h>
#include <poll.h>
#include <thread>

#include <gtest/gtest.h>

namespace amqtt {
namespace {

bool is_readable(const notifier& n, int wait_milliseconds = 0) {
    pollfd polled{n.fd(), POLLIN, 0};
    return ::poll(&polled, 1, wait_milliseconds) == 1;
}

TEST(Notifier, IsReadableBetweenNotifyAndReset) {
    notifier n;
    EXPECT_FALSE(is_readable(n));
    n.reset();
    EXPECT_FALSE(is_readable(n));
    n.notify();
    EXPECT_TRUE(is_readable(n));
    EXPECT_TRUE(is_readable(n));
    n.reset();
    EXPECT_FALSE(is_readable(n));
    n.notify();
    EXPECT_TRUE(is_readable(n));
}

TEST(Notifier, OneResetIsEnoughForManyNotifications) {
    notifier n;
    for (int i = 0; i < 100'000; ++i)  // more than a pipe holds: it must not block
        n.notify();
    EXPECT_TRUE(is_readable(n));
    n.reset();
    EXPECT_FALSE(is_readable(n));
}

TEST(Notifier, DoesNotLeakItsDescriptor) {
    int fd = -1;
    {
        const notifier n;
        fd = n.fd();
        EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
        EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    }
    EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

TEST(Notifier, WakesAnotherThread) {
    notifier n;
    std::thread sleeper([&n] { EXPECT_TRUE(is_readable(n, 60'000)); });
    n.notify();
    sleeper.join();
}

}  // namespace
}  // namespace amqtt
