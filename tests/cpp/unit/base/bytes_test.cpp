#include "base/bytes.hpp"

#include <array>

#include <gtest/gtest.h>

namespace amqtt {
namespace {

TEST(Bytes, TextAndBytesAreViewsOfTheSameMemory) {
    const std::string_view text = "a\xC3\xA9";
    const bytes_view bytes = as_bytes(text);
    EXPECT_EQ(bytes.size(), 3U);
    EXPECT_EQ(bytes[1], 0xC3);
    EXPECT_EQ(as_text(bytes).data(), text.data());
    EXPECT_EQ(as_text(bytes), text);
}

TEST(Bytes, KeepZerosAndHighBytes) {
    const std::array<std::uint8_t, 4> data{0, 0xFF, 0, 0x80};
    EXPECT_EQ(as_text(data), std::string_view("\x00\xFF\x00\x80", 4));
}

TEST(Bytes, AcceptEmptyViews) {
    EXPECT_TRUE(as_bytes({}).empty());
    EXPECT_TRUE(as_text({}).empty());
}

}  // namespace
}  // namespace amqtt
