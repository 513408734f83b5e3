#include "base/kept_bytes.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace amqtt {
namespace {

std::vector<std::uint8_t> numbered(std::size_t size, std::size_t from = 0) {
    std::vector<std::uint8_t> made(size);
    for (std::size_t i = 0; i < size; ++i)
        made[i] = static_cast<std::uint8_t>((from + i) % 251);
    return made;
}

bool is_numbered(bytes_view found, std::size_t size, std::size_t from = 0) {
    const auto wanted = numbered(size, from);
    return std::vector(found.begin(), found.end()) == wanted;
}

TEST(kept_bytes, is_nothing_at_first) {
    kept_bytes kept;
    kept.append({}, 1000);
    kept.drop_front(0);
    EXPECT_EQ(kept.size(), 0U);
    EXPECT_TRUE(kept.view().empty());
    EXPECT_EQ(kept.footprint(), 0U);
}

TEST(kept_bytes, grows_from_what_is_allocated_to_what_is_mapped) {
    kept_bytes kept;
    std::size_t size = 0;
    for (const std::size_t more : {1U, 63U, 1000U, 20'000U, 20'000U, 1U, 300'000U, 5'000'000U}) {
        kept.append(numbered(more, size), 10'000'000);
        size += more;
        ASSERT_TRUE(is_numbered(kept.view(), size));
        EXPECT_GE(kept.footprint(), size);
        EXPECT_LE(kept.footprint(), 2 * size + 4096);
    }
}

TEST(kept_bytes, takes_no_more_than_was_filled_when_it_is_large) {
    kept_bytes kept;
    kept.append(numbered(100'000), 200'000'000);
    EXPECT_LE(kept.footprint(), 100'000U + 4096);
    kept.append(numbered(100, 100'000), 200'000'000);
    EXPECT_LE(kept.footprint(), 100'100U + 4096);
    EXPECT_TRUE(is_numbered(kept.view(), 100'100));
}

TEST(kept_bytes, has_no_more_room_than_is_expected) {
    kept_bytes kept;
    kept.append(numbered(600), 1000);
    kept.append(numbered(400, 600), 1000);
    EXPECT_EQ(kept.footprint(), 1000U);
    EXPECT_TRUE(is_numbered(kept.view(), 1000));
}

TEST(kept_bytes, gives_back_what_is_behind_a_short_rest) {
    kept_bytes kept;
    kept.append(numbered(1'000'000), 1'000'000);
    kept.drop_front(500'000);
    EXPECT_TRUE(is_numbered(kept.view(), 500'000, 500'000));
    kept.drop_front(499'990);
    EXPECT_TRUE(is_numbered(kept.view(), 10, 999'990));
    EXPECT_LE(kept.footprint(), 64U);
    kept.drop_front(10);
    EXPECT_EQ(kept.size(), 0U);
    kept.append(numbered(50'000), 0);
    EXPECT_TRUE(is_numbered(kept.view(), 50'000));
}

TEST(kept_bytes, moves) {
    kept_bytes kept;
    kept.append(numbered(50'000), 0);
    kept_bytes other = std::move(kept);
    EXPECT_TRUE(is_numbered(other.view(), 50'000));
    kept_bytes third;
    third.append(numbered(3), 0);
    third = std::move(other);
    EXPECT_TRUE(is_numbered(third.view(), 50'000));
}

}  // namespace
}  // namespace amqtt
