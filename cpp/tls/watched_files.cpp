#include "tls/watched_files.hpp"

#include <sys/stat.h>
#include <utility>

namespace amqtt {

watched_files::watched_files(std::vector<std::string> paths) : paths_(std::move(paths)) {
    std::erase(paths_, std::string());
    look();
}

void watched_files::look() {
    known_ = look_at_all();
    newest_ = known_;
}

bool watched_files::have_changed() {
    std::vector<state> now = look_at_all();
    const bool settled = now == newest_;
    newest_ = std::move(now);
    return settled && newest_ != known_;
}

std::vector<watched_files::state> watched_files::look_at_all() const {
    std::vector<state> all;
    for (const std::string& path : paths_) {
        struct stat found {};
        state& seen = all.emplace_back();
        if (::stat(path.c_str(), &found) != 0) continue;
        seen = {found.st_dev, found.st_ino, found.st_size, found.st_mtim.tv_sec,
                found.st_mtim.tv_nsec};
    }
    return all;
}

}  // namespace amqtt
