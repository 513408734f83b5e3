#include <vector>

#include <gtest/gtest.h>

#include "base/lazy_ptr.hpp"

namespace amqtt {
namespace {

TEST(rare, reads_as_empty_until_it_is_made) {
    lazy_ptr<std::vector<int>> value;
    EXPECT_TRUE(value->empty());
    EXPECT_EQ(value.get(), nullptr);
    value.make().push_back(1);
    value.make().push_back(2);
    EXPECT_EQ(*value, (std::vector<int>{1, 2}));
    EXPECT_NE(value.get(), nullptr);
    value.reset();
    EXPECT_TRUE(value->empty());
    EXPECT_EQ(value.get(), nullptr);
}

TEST(rare, takes_the_room_of_a_pointer) {
    EXPECT_EQ(sizeof(lazy_ptr<std::vector<int>>), sizeof(void*));
}

}  // namespace
}  // namespace amqtt
