#include "net/unix_socket.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace amqtt {
namespace {

error_code system_error_of(int number) noexcept {
    return {number, boost::system::system_category()};
}

// Returns errno of an attempt to connect; 0 when somebody listens.
int try_connect(const std::string& path) noexcept {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return errno;
    const int result =
        ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    const int number = result == 0 ? 0 : errno;
    ::close(probe);
    return number;
}

}  // namespace

unix_socket_file::unix_socket_file(std::string path) : path_(std::move(path)) {
    struct stat found {};
    if (::lstat(path_.c_str(), &found) != 0) return;
    device_ = found.st_dev;
    number_ = found.st_ino;
}

void unix_socket_file::remove() noexcept {
    struct stat found {};
    if (number_ != 0 && ::lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ &&
        found.st_ino == number_) {
        ::unlink(path_.c_str());
    }
    number_ = 0;
}

void remove_stale_socket(const std::string& path, error_code& error) {
    error = {};
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        error = system_error_of(ENAMETOOLONG);
        return;
    }
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) {
        if (errno != ENOENT) error = system_error_of(errno);
        return;
    }
    if (!S_ISSOCK(found.st_mode)) {
        error = system_error_of(EEXIST);
        return;
    }
    const int answer = try_connect(path);
    if (answer == ECONNREFUSED) {
        if (::unlink(path.c_str()) != 0) error = system_error_of(errno);
    } else if (answer == 0 || answer == EAGAIN) {
        error = system_error_of(EADDRINUSE);
    } else {
        error = system_error_of(answer);
    }
}

}  // namespace amqtt
