// The file of a Unix socket that a listener is bound to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>

#include "net/asio.hpp"

namespace amqtt {

// Removes the file when it goes, unless somebody has put another in its place.
class unix_socket_file {
  public:
    // The file that acceptor was just bound to.
    explicit unix_socket_file(std::string path);
    ~unix_socket_file() { remove(); }
    unix_socket_file(const unix_socket_file&) = delete;
    unix_socket_file& operator=(const unix_socket_file&) = delete;

    void remove() noexcept;

  private:
    std::string path_;
    dev_t device_ = 0;
    ino_t number_ = 0;
};

// Removes a socket file at which nobody listens any more. The error says what is in the way.
void remove_stale_socket(const std::string& path, error_code& error);

}  // namespace amqtt
