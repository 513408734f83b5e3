#include "codec/varint.hpp"

#include <array>

#include <gtest/gtest.h>

#include "support/hex.hpp"

namespace amqtt {
namespace {

using test::byte_string;
using test::hex;

struct boundary {
    std::uint32_t value;
    const char* encoded;
};

constexpr boundary boundaries[] = {
    {0, "00"},
    {1, "01"},
    {127, "7F"},
    {128, "80 01"},
    {321, "C1 02"},
    {16'383, "FF 7F"},
    {16'384, "80 80 01"},
    {2'097'151, "FF FF 7F"},
    {2'097'152, "80 80 80 01"},
    {268'435'455, "FF FF FF 7F"},
};

// 5.0:MQTT-1.5.5-1@server: what is written is the shortest form.
TEST(Varint, EncodesEveryBoundaryInTheShortestForm) {
    for (const auto& [value, encoded] : boundaries) {
        SCOPED_TRACE(value);
        const byte_string expected = hex(encoded);
        std::array<std::uint8_t, 5> place{};
        const std::uint8_t* end = write_varint(place.data(), value);
        EXPECT_EQ(byte_string(place.data(), const_cast<std::uint8_t*>(end)), expected);
        EXPECT_EQ(varint_size(value), expected.size());
    }
}

TEST(Varint, DecodesEveryBoundary) {
    for (const auto& [value, encoded] : boundaries) {
        SCOPED_TRACE(value);
        byte_string data = hex(encoded);
        const std::size_t size = data.size();
        for (int behind = 0; behind < 3; ++behind) {  // what follows does not matter
            const varint_result read = read_varint(data);
            EXPECT_EQ(read.status, varint_status::complete);
            EXPECT_EQ(read.value, value);
            EXPECT_EQ(read.size, size);
            data.push_back(0xFF);
        }
    }
}

TEST(Varint, IsIncompleteUntilItsLastByte) {
    for (const auto& [value, encoded] : boundaries) {
        SCOPED_TRACE(value);
        byte_string data = hex(encoded);
        while (!data.empty()) {
            data.pop_back();
            EXPECT_EQ(read_varint(data).status, varint_status::incomplete);
        }
    }
}

TEST(Varint, IsMalformedWhenTheFourthByteContinues) {
    for (const char* encoded :
         {"80 80 80 80", "FF FF FF FF", "80 80 80 80 01", "FF FF FF FF 7F", "80 80 80 80 80"}) {
        EXPECT_EQ(read_varint(hex(encoded)).status, varint_status::malformed) << encoded;
    }
}

TEST(Varint, LongerFormsHaveTheirValueAndSize) {
    const std::pair<const char*, std::uint32_t> cases[] = {
        {"80 00", 0}, {"FF 00", 127}, {"80 80 00", 0}, {"80 80 80 00", 0}, {"81 80 00", 1}};
    for (const auto& [encoded, value] : cases) {
        const byte_string data = hex(encoded);
        const varint_result read = read_varint(data);
        EXPECT_EQ(read.status, varint_status::complete) << encoded;
        EXPECT_EQ(read.value, value) << encoded;
        EXPECT_EQ(read.size, data.size()) << encoded;
    }
}

TEST(Varint, HasNoEncodingBeyondTheLargestValue) {
    for (const std::uint64_t value :
         {std::uint64_t{varint_max} + 1, std::uint64_t{UINT32_MAX}, UINT64_MAX}) {
        SCOPED_TRACE(value);
        std::array<std::uint8_t, 5> place{};
        EXPECT_EQ(varint_size(value), 0U);
        EXPECT_EQ(write_varint(place.data(), value), place.data());
        EXPECT_EQ(place, (std::array<std::uint8_t, 5>{}));
    }
}

TEST(Varint, RoundTripsAndIsConstexpr) {
    static_assert(varint_size(varint_max) == 4);
    for (std::uint32_t value = 0; value <= varint_max; value += 1 + value / 97) {
        std::array<std::uint8_t, 4> place{};
        const auto size = static_cast<std::size_t>(write_varint(place.data(), value) - &place[0]);
        const varint_result read = read_varint(place);
        ASSERT_EQ(read.value, value);
        ASSERT_EQ(read.size, size);
        ASSERT_EQ(varint_size(value), size);
    }
}

}  // namespace
}  // namespace amqtt
