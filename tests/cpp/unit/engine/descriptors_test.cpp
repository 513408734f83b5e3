// File descriptors: that there may be none left, and who gets them.
#include "net/descriptors.hpp"

#include <arpa/inet.h>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "support/engines.hpp"
#include "support/wire.hpp"

namespace amqtt::test {
namespace {

// -- the listener, when there are none

// A process of which no descriptor is left, until they are given back.
class exhausted {
  public:
    exhausted() {
        while (true) {
            const int taken = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
            if (taken < 0) return;
            taken_.push_back(taken);
        }
    }
    void end() {
        for (const int each : taken_)
            ::close(each);
    }

  private:
    std::vector<int> taken_;
};

void lower_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

// The system completes the connection; the broker accepts it when it can.
void connect_to(int socket, std::uint16_t port, bool v6) {
    int result = -1;
    if (v6) {
        sockaddr_in6 to{};
        to.sin6_family = AF_INET6;
        to.sin6_port = htons(port);
        to.sin6_addr = IN6ADDR_LOOPBACK_INIT;
        result = ::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    } else {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        result = ::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }
    if (result != 0) std::_Exit(10);
}

bool is_admitted(int socket, const std::string& client_id) {
    const bytes hello = connect({.client_id = client_id});
    if (::send(socket, hello.data(), hello.size(), MSG_NOSIGNAL) < 0) return false;
    bytes answer(4);
    return wait_readable(socket) && ::recv(socket, answer.data(), answer.size(), 0) == 4 &&
           answer == connack();
}

void serve_with_too_few_descriptors() {
    lower_limit();
    broker_engine engine({}, running_broker::admits_everyone(), {});
    listener_settings everywhere;
    everywhere.name = "default";
    everywhere.port = 0;
    const auto bound = engine.listen(everywhere);
    engine.start();
    const bool has_v6 = bound.size() == 2;
    const int v4 = ::socket(AF_INET, SOCK_STREAM, 0);
    const int v6 = has_v6 ? ::socket(AF_INET6, SOCK_STREAM, 0) : -1;
    exhausted descriptors;
    connect_to(v4, bound[0].port, false);
    if (!wait_readable(engine.event_fd())) std::_Exit(11);  // it has logged that it cannot accept
    if (has_v6) {
        connect_to(v6, bound[1].port, true);
        for (int i = 0; i < 3; ++i)
            engine.status();  // it has looked at its sockets since
    }
    descriptors.end();
    if (!is_admitted(v4, "v4")) std::_Exit(12);
    if (has_v6 && !is_admitted(v6, "v6")) std::_Exit(13);
    engine.stop();
    std::_Exit(0);
}

TEST(descriptors, every_address_accepts_again_when_there_are_some) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(serve_with_too_few_descriptors(), testing::ExitedWithCode(0), "");
}

void stop_with_too_few_descriptors() {
    lower_limit();
    broker_engine engine({}, running_broker::admits_everyone(), {});
    const std::uint16_t port = listen_on_loopback(engine);
    engine.start();
    const int client = ::socket(AF_INET, SOCK_STREAM, 0);
    exhausted descriptors;
    connect_to(client, port, false);
    if (!wait_readable(engine.event_fd())) std::_Exit(11);
    engine.stop();  // returns although an attempt to accept is due
    std::_Exit(0);
}

TEST(descriptors, a_listener_that_waits_for_some_can_be_closed) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(stop_with_too_few_descriptors(), testing::ExitedWithCode(0), "");
}

// -- programs that are started meanwhile

// Those that a program would inherit, beside the first three.
std::set<int> inherited() {
    std::set<int> found;
    for (const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) {
        const int descriptor = std::stoi(each.path().filename().string());
        const int flags = ::fcntl(descriptor, F_GETFD);
        if (descriptor > 2 && flags >= 0 && (flags & FD_CLOEXEC) == 0) found.insert(descriptor);
    }
    return found;
}

TEST(descriptors, no_other_program_gets_any) {
    const std::set<int> before = inherited();
    const std::string path = testing::TempDir() + "descriptors-" + std::to_string(::getpid());
    for (const std::size_t threads : {1U, 2U}) {
        broker_engine engine({}, running_broker::admits_everyone(), {}, threads);
        const std::uint16_t port = listen_on_loopback(engine);
        listener_settings local;
        local.name = "unix";
        local.unix_path = path;
        engine.listen(local);
        engine.start();
        test_clients clients;
        clients.connect(port, "tcp");
        connect_settings by_name;
        by_name.endpoint.host = "localhost";
        by_name.endpoint.port = port;
        by_name.client_id = "name";
        connect_settings by_path;
        by_path.endpoint.unix_path = path;
        by_path.client_id = "unix";
        for (const connect_settings& each : {by_name, by_path}) {
            const client_handle c = clients.engine.open();
            clients.command(c, connect_command{++clients.ticket, each});
            EXPECT_EQ(clients.expect<connack_event>(c).return_code, 0);
        }
        EXPECT_EQ(inherited(), before);
    }
}

}  // namespace
}  // namespace amqtt::test
