// Finds out whether files have changed, at the price of a stat() for each.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

namespace amqtt {

class watched_files {
  public:
    // Files and folders; empty paths are left out.
    explicit watched_files(std::vector<std::string> paths);

    // What there is now is what is known.
    void look();

    // To be called now and then. True once the files are others than at the last look() and have
    // been left alone since the last call: several that belong together are not all replaced at
    // the same moment.
    bool have_changed();

  private:
    struct state {
        std::uint64_t device = 0;
        std::uint64_t inode = 0;
        std::int64_t size = -1;  // of a file that is not there
        std::int64_t seconds = 0;
        std::int64_t nanoseconds = 0;

        friend bool operator==(const state&, const state&) = default;
    };

    std::vector<state> look_at_all() const;

    std::vector<std::string> paths_;
    std::vector<state> known_;
    std::vector<state> newest_;
};

}  // namespace amqtt
