#include "base/by_text.hpp"

#include <memory>
#include <unordered_set>

#include <gtest/gtest.h>

namespace amqtt::test {
namespace {

struct named {
    std::string name;
};
struct by_name {
    static std::string_view of(const std::unique_ptr<named>& one) noexcept { return one->name; }
};

TEST(by_text, finds_owners_by_their_text) {
    set_by_text<std::unique_ptr<named>, by_name> all;
    all.insert(std::make_unique<named>("a"));
    all.insert(std::make_unique<named>("b"));
    EXPECT_FALSE(all.insert(std::make_unique<named>("a")).second);
    ASSERT_NE(all.find(std::string_view("b")), all.end());
    EXPECT_EQ((*all.find(std::string_view("b")))->name, "b");
    EXPECT_EQ(all.find(std::string_view("c")), all.end());
}

TEST(by_text, finds_values_by_views) {
    map_by_text<int> all;
    all["one"] = 1;
    all[""] = 0;
    EXPECT_EQ(all.find(std::string_view("one"))->second, 1);
    EXPECT_EQ(all.find(std::string_view())->second, 0);
}

TEST(text_hash, is_of_all_of_the_text) {
    std::unordered_set<std::size_t> seen;
    std::string text;
    for (int size = 0; size < 600; ++size) {
        EXPECT_TRUE(seen.insert(text_hash()(text)).second);
        EXPECT_EQ(text_hash()(text), text_hash()(std::string(text)));
        text += 'x';
    }
    for (char& each : text) {
        each = 'y';
        EXPECT_TRUE(seen.insert(text_hash()(text)).second);
    }
}

// What another process would make of it: else peers could choose texts that collide.
TEST(text_hash, is_not_that_of_the_library_without_a_seed) {
    // XXH3_64bits("")
    EXPECT_NE(text_hash()(""), 0x2d06800538d394c2ULL);
}

}  // namespace
}  // namespace amqtt::test
