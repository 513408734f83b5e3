#include "codec/fields.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/hex.hpp"

namespace amqtt {
namespace {

using namespace std::string_view_literals;
using test::byte_string;
using test::hex;
using testing::ElementsAre;
using testing::SizeIs;

// The values as text: numbers in decimal, text as it is, bytes in angle brackets.
std::vector<std::string> values_of(std::string_view layout, const byte_string& data) {
    const auto run = read_fields(layout, data);
    if (!run) return {std::string("malformed: ") + run.error().what};
    if (run->missing != 0) return {"missing " + std::to_string(run->missing)};
    std::vector<std::string> shown;
    for (const field_value& value : run->values) {
        if (const auto* number = std::get_if<std::uint32_t>(&value)) {
            shown.push_back(std::to_string(*number));
        } else if (const auto* text = std::get_if<std::string_view>(&value)) {
            shown.emplace_back(*text);
        } else {
            shown.push_back("<" + std::string(as_text(std::get<bytes_view>(value))) + ">");
        }
    }
    return shown;
}

TEST(ReadFields, ReadsEveryType) {
    EXPECT_THAT(values_of("BHvsbp", hex("07 01 02 C1 02 00 03 'a/b' 00 01 'x' 02 'pp'")),
                ElementsAre("7", "258", "321", "a/b", "<x>", "<\x02pp>"));
}

TEST(ReadFields, LeavesWhatIsBehindTheLayout) {
    EXPECT_THAT(values_of("B", hex("07 08")), ElementsAre("7"));
    EXPECT_THAT(values_of("", hex("07")), ElementsAre());
}

// No more than is certain to be part of the fields is asked for, or a stream would lose the
// packet behind them.
TEST(ReadFields, TellsHowManyBytesAreMissingAtLeast) {
    EXPECT_THAT(values_of("sBBH", {}), ElementsAre("missing 6"));
    EXPECT_THAT(values_of("sBBH", hex("00 04 'MQTT'")), ElementsAre("missing 4"));
    EXPECT_THAT(values_of("sBBH", hex("00 04 'M'")), ElementsAre("missing 7"));
    EXPECT_THAT(values_of("b", hex("01")), ElementsAre("missing 1"));
    EXPECT_THAT(values_of("p", {}), ElementsAre("missing 1"));
    EXPECT_THAT(values_of("p", hex("80")), ElementsAre("missing 1"));
    EXPECT_THAT(values_of("p", hex("05 'ab'")), ElementsAre("missing 3"));
    EXPECT_THAT(values_of("vB", hex("80")), ElementsAre("missing 2"));
}

TEST(ReadFields, AsksForNothingThatACompleteRunDoesNotHave) {
    const byte_string whole = hex("00 04 'MQTT' 05 02 00 3C 80 01");
    const byte_string data = test::concat(whole, byte_string(128, 0));
    for (std::size_t have = 0; have < data.size(); ++have) {
        const auto run = read_fields("sBBHp", bytes_view(data).first(have));
        ASSERT_TRUE(run);
        EXPECT_GT(run->missing, 0U) << have;
        EXPECT_LE(have + run->missing, data.size());
    }
}

TEST(ReadFields, RepeatsTheLayoutUntilTheDataEnds) {
    EXPECT_THAT(values_of("sB*", hex("00 01 'a' 01 00 02 'bc' 02")),
                ElementsAre("a", "1", "bc", "2"));
    EXPECT_THAT(values_of("sB*", {}), ElementsAre());
    EXPECT_THAT(values_of("sB*", hex("00 01 'a'")), ElementsAre("missing 1"));
    EXPECT_THAT(values_of("*", hex("00")), ElementsAre());
}

TEST(ReadFields, RefusesIllFormedText) {
    EXPECT_THAT(values_of("s", hex("00 01 FF")),
                ElementsAre("malformed: text is not UTF-8, or has a null character"));
    EXPECT_THAT(values_of("s", hex("00 01 00")), SizeIs(1));
    EXPECT_FALSE(read_fields("s", hex("00 03 ED A0 80")));
}

TEST(ReadFields, RefusesAVarintOfFiveBytes) {
    EXPECT_FALSE(read_fields("v", hex("FF FF FF FF")));
    EXPECT_FALSE(read_fields("p", hex("80 80 80 80 01")));
}

byte_string written(field_type type, const field_value& value) {
    byte_string out;
    EXPECT_EQ(field_problem(type, value), nullptr);
    write_field(type, value, out);
    return out;
}

TEST(WriteField, WritesEveryType) {
    EXPECT_EQ(written(field_type::byte, 255U), hex("FF"));
    EXPECT_EQ(written(field_type::two_bytes, 258U), hex("01 02"));
    EXPECT_EQ(written(field_type::varint, 321U), hex("C1 02"));
    EXPECT_EQ(written(field_type::text, "a/b"sv), hex("00 03 'a/b'"));
    const byte_string data = hex("01 'x'");
    EXPECT_EQ(written(field_type::binary, bytes_view(data)), hex("00 02 01 'x'"));
    EXPECT_EQ(written(field_type::counted, bytes_view(data)), data);
}

TEST(WriteField, FieldProblemFindsWhatHasNoPlace) {
    EXPECT_NE(field_problem(field_type::byte, 256U), nullptr);
    EXPECT_NE(field_problem(field_type::byte, "1"sv), nullptr);
    EXPECT_NE(field_problem(field_type::two_bytes, 65'536U), nullptr);
    EXPECT_NE(field_problem(field_type::varint, 268'435'456U), nullptr);
    EXPECT_NE(field_problem(field_type::text, 1U), nullptr);
    EXPECT_NE(field_problem(field_type::text, "a\0"sv), nullptr);
    EXPECT_NE(field_problem(field_type::text, "\xFF"sv), nullptr);
    const std::string longest(65'535, 'a');
    EXPECT_EQ(field_problem(field_type::text, std::string_view(longest)), nullptr);
    const std::string longer(65'536, 'a');
    EXPECT_NE(field_problem(field_type::text, std::string_view(longer)), nullptr);
    EXPECT_NE(field_problem(field_type::binary, as_bytes(longer)), nullptr);
    EXPECT_NE(field_problem(field_type::binary, "text"sv), nullptr);
    EXPECT_NE(field_problem(field_type::counted, 1U), nullptr);
    EXPECT_NE(field_problem(static_cast<field_type>('?'), 1U), nullptr);
}

}  // namespace
}  // namespace amqtt
