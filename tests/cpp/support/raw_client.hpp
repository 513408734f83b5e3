// A client that sends bytes and waits for bytes, and what it sends.
#pragma once

#include <algorithm>
#include <arpa/inet.h>
#include <cstddef>
#include <cstdint>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/engines.hpp"
#include "support/wire.hpp"

namespace amqtt::test {

class raw_client {
  public:
    explicit raw_client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    }
    raw_client(std::uint16_t port, const std::string& client_id) : raw_client(port) {
        connect_spec who;
        who.client_id = client_id;
        send(connect(who));
        EXPECT_EQ(receive(4), connack());
    }
    ~raw_client() { ::close(socket_); }
    raw_client(const raw_client&) = delete;
    raw_client& operator=(const raw_client&) = delete;

    void send(const bytes& data) const {
        std::size_t sent = 0;
        while (sent < data.size()) {
            const ssize_t n = ::send(socket_, data.data() + sent, data.size() - sent, MSG_NOSIGNAL);
            ASSERT_GT(n, 0);
            sent += static_cast<std::size_t>(n);
        }
    }
    // As much as the system takes without waiting; returns how much that was.
    std::size_t send_some(const bytes& data) const {
        const ssize_t n = ::send(socket_, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        return n > 0 ? static_cast<std::size_t>(n) : 0;
    }
    void end() const { ::shutdown(socket_, SHUT_WR); }

    // So many bytes, or fewer when the end comes before.
    bytes receive(std::size_t size) const {
        bytes got(size);
        std::size_t filled = 0;
        while (filled < size) {
            if (!wait_readable(socket_)) {
                ADD_FAILURE() << "only " << filled << " of " << size << " bytes came";
                break;
            }
            const ssize_t n = ::recv(socket_, got.data() + filled, size - filled, 0);
            if (n <= 0) break;
            filled += static_cast<std::size_t>(n);
        }
        got.resize(filled);
        return got;
    }
    bytes receive_until_end() const {
        bytes all;
        while (true) {
            const bytes some = receive(64 * 1024);
            all.insert(all.end(), some.begin(), some.end());
            if (some.size() < 64 * 1024) return all;
        }
    }
    void subscribe_to(const std::string& filter, unsigned level = 0) const {
        send(subscribe(1, {{filter, level}}));
        EXPECT_EQ(receive(5), packet(0x90, u16_field(1) + bytes{static_cast<std::uint8_t>(level)}));
    }
    void ping() const {
        send({0xC0, 0x00});
        EXPECT_EQ(receive(2), (bytes{0xD0, 0x00}));
    }

  private:
    int socket_;
};

inline bytes repeated(const bytes& one, std::size_t count) {
    bytes all;
    all.reserve(one.size() * count);
    for (std::size_t i = 0; i < count; ++i)
        all.insert(all.end(), one.begin(), one.end());
    return all;
}

// What makes a message distinguishable, and the rest of it.
inline std::string numbered(std::size_t number, std::size_t size) {
    std::string text = std::to_string(number) + ".";
    text.resize(std::max(size, text.size()), 'x');
    return text;
}

}  // namespace amqtt::test
