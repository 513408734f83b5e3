#include "tls/watched_files.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace amqtt::test {
namespace {

class watched : public testing::Test {
  protected:
    watched() {
        std::filesystem::create_directories(folder_);
        write("a", "first");
    }
    ~watched() override { std::filesystem::remove_all(folder_); }

    std::string path(const std::string& name) const { return (folder_ / name).string(); }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(path(name)) << text;
    }

    const std::filesystem::path folder_ =
        std::filesystem::path(testing::TempDir()) /
        ("watched-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)));
};

TEST_F(watched, files_have_changed_once_they_are_left_alone) {
    watched_files files({path("a"), "", path("b")});
    EXPECT_FALSE(files.have_changed());
    write("a", "longer than before");
    EXPECT_FALSE(files.have_changed());  // more may follow
    write("b", "and it does");
    EXPECT_FALSE(files.have_changed());
    EXPECT_TRUE(files.have_changed());
    files.look();
    EXPECT_FALSE(files.have_changed());
    EXPECT_FALSE(files.have_changed());
}

TEST_F(watched, replacing_and_removing_is_a_change) {
    watched_files files({path("a")});
    write("new", "other");  // as long as the first
    std::filesystem::last_write_time(path("new"), std::filesystem::last_write_time(path("a")));
    std::filesystem::rename(path("new"), path("a"));
    EXPECT_FALSE(files.have_changed());
    EXPECT_TRUE(files.have_changed());
    files.look();
    std::filesystem::remove(path("a"));
    EXPECT_FALSE(files.have_changed());
    EXPECT_TRUE(files.have_changed());
}

TEST_F(watched, a_folder_changes_with_its_entries) {
    watched_files files({folder_.string()});
    std::filesystem::last_write_time(folder_, std::filesystem::file_time_type{});
    files.look();
    write("b", "new");
    EXPECT_FALSE(files.have_changed());
    EXPECT_TRUE(files.have_changed());
}

TEST_F(watched, what_is_undone_was_no_change) {
    watched_files files({path("b")});
    write("b", "here");
    EXPECT_FALSE(files.have_changed());
    std::filesystem::remove(path("b"));
    EXPECT_FALSE(files.have_changed());
    EXPECT_FALSE(files.have_changed());
}

}  // namespace
}  // namespace amqtt::test
