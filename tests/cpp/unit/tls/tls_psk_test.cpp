#include "tls/tls_psk.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tls/tls_settings.hpp"

namespace amqtt::test {
namespace {

const std::string key_a = "000102030405060708090a0b0c0d0e0f";
const std::string key_b = "FFEEDDCCBBAA99887766554433221100ff";

std::string problem_of(const std::string& text) {
    try {
        psk_table::parse(text, "keys");
    } catch (const tls_settings_error& error) {
        return error.what();
    }
    return {};
}

TEST(psk_table, has_the_keys_of_the_file) {
    const auto table = psk_table::parse(
        "# devices\n\nsensor-1:" + key_a + "\r\nurn:dev:2:" + key_b + "\n\xc3\xa4:" + key_a,
        "keys");
    EXPECT_EQ(table.size(), 3U);
    ASSERT_NE(table.find("sensor-1"), nullptr);
    EXPECT_EQ(table.find("sensor-1")->second,
              (psk_table::key{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}));
    ASSERT_NE(table.find("urn:dev:2"), nullptr);
    EXPECT_EQ(table.find("urn:dev:2")->second.size(), 17U);
    EXPECT_NE(table.find("\xc3\xa4"), nullptr);
    EXPECT_EQ(table.find("SENSOR-1"), nullptr);
    EXPECT_EQ(table.find(""), nullptr);
}

TEST(psk_table, names_the_line_that_is_wrong_and_shows_no_key) {
    using testing::AllOf;
    using testing::HasSubstr;
    using testing::Not;
    const std::string good = "a:" + key_a + "\n";
    EXPECT_THAT(problem_of(good + key_b),
                AllOf(HasSubstr("'keys', line 2: expected identity:key"), Not(HasSubstr(key_b))));
    for (const std::string& bad : {key_a.substr(2), key_a + "0", key_a.substr(1) + "g",
                                   std::string(), key_a + " ", std::string(2 * 513, '0')}) {
        EXPECT_THAT(problem_of(good + "b:" + bad),
                    AllOf(HasSubstr("line 2: expected a key of 16 to"), Not(HasSubstr(key_a))))
            << bad;
    }
    EXPECT_THAT(problem_of(":" + key_a), HasSubstr("line 1: expected an identity"));
    EXPECT_THAT(problem_of(std::string(300, 'i') + ":" + key_a),
                HasSubstr("line 1: expected an identity"));
    EXPECT_THAT(problem_of(good + "\n" + good), HasSubstr("line 3: a line before"));
    EXPECT_THAT(problem_of("# nothing\n"), HasSubstr("has no keys"));
}

TEST(psk_table, names_a_file_that_cannot_be_read) {
    const auto problem = [](const std::string& path) -> std::string {
        try {
            psk_table::read(path);
        } catch (const tls_settings_error& error) {
            return error.what();
        }
        return {};
    };
    EXPECT_EQ(problem("/nowhere/keys"), "tls_psk_file '/nowhere/keys': No such file or directory");
    // As when a watched file is replaced by one.
    EXPECT_EQ(problem("/"), "tls_psk_file '/': Is a directory");
}

}  // namespace
}  // namespace amqtt::test
