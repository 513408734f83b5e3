#include "net/wake_set.hpp"

#include <poll.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "bridge/notifier.hpp"

namespace amqtt {
namespace {

bool is_readable(int fd) {
    pollfd polled{fd, POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
}

TEST(wake_set, is_readable_while_one_of_its_descriptors_is) {
    notifier first;
    notifier second;
    wake_set set(first.fd());
    ASSERT_TRUE(set.add(second.fd()));
    EXPECT_FALSE(is_readable(set.fd()));
    first.notify();
    EXPECT_TRUE(is_readable(set.fd()));
    second.notify();
    first.reset();
    EXPECT_TRUE(is_readable(set.fd()));
    second.reset();
    EXPECT_FALSE(is_readable(set.fd()));
}

TEST(wake_set, does_not_look_at_what_was_removed) {
    notifier first;
    notifier second;
    notifier third;
    wake_set set(first.fd());
    ASSERT_TRUE(set.add(second.fd()));
    ASSERT_TRUE(set.add(third.fd()));
    second.notify();
    third.notify();
    set.remove(second.fd());
    set.remove(second.fd());
    EXPECT_TRUE(is_readable(set.fd()));
    set.clear();
    EXPECT_FALSE(is_readable(set.fd()));
    ASSERT_TRUE(set.add(second.fd()));
    EXPECT_TRUE(is_readable(set.fd()));
    set.clear();
    first.notify();
    EXPECT_TRUE(is_readable(set.fd()));
}

TEST(wake_set, refuses_what_cannot_be_watched) {
    notifier first;
    wake_set set(first.fd());
    EXPECT_FALSE(set.add(-1));
    EXPECT_FALSE(is_readable(set.fd()));
}

TEST(wake_set, does_not_leak_its_descriptor) {
    notifier first;
    int fd = -1;
    {
        const wake_set set(first.fd());
        fd = set.fd();
    }
    const wake_set again(first.fd());
    EXPECT_EQ(again.fd(), fd);
}

}  // namespace
}  // namespace amqtt
