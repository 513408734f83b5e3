// What a client waits for while it connects must not stop the others, nor the end of their engine.
#include <condition_variable>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <netdb.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "support/engines.hpp"

namespace {

constexpr const char* hanging_name = "hangs.test";

// The name server that does not answer until it is told to.
struct {
    std::mutex mutex;
    std::condition_variable changed;
    bool answers = false;
    int asked = 0;
    int answered = 0;
} name_server;

}  // namespace

// In place of the system's, for this program.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** found) {
    if (node && std::strcmp(node, hanging_name) == 0) {
        std::unique_lock guard(name_server.mutex);
        ++name_server.asked;
        name_server.changed.notify_all();
        name_server.changed.wait(guard, [] { return name_server.answers; });
        ++name_server.answered;
        name_server.changed.notify_all();
        return EAI_NONAME;
    }
    using function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
    static const auto real = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    return real(node, service, hints, found);
}

namespace amqtt::test {
namespace {

class hanging_lookups : public testing::Test {
  protected:
    ~hanging_lookups() override {
        std::unique_lock guard(name_server.mutex);
        name_server.answers = true;
        name_server.changed.notify_all();
        name_server.changed.wait(guard, [] { return name_server.answered == name_server.asked; });
        name_server.answers = false;
        name_server.asked = name_server.answered = 0;
    }
    static client_handle connect(test_clients& clients) {
        connect_settings settings;
        settings.endpoint.host = hanging_name;
        settings.client_id = "hangs";
        const client_handle c = clients.engine.open();
        clients.command(c, connect_command{++clients.ticket, settings});
        std::unique_lock guard(name_server.mutex);
        name_server.changed.wait(guard, [] { return name_server.asked > 0; });
        return c;
    }
};

TEST_F(hanging_lookups, do_not_stop_the_end_of_the_engine) {
    test_clients clients;
    connect(clients);
    clients.engine.stop();
    const std::lock_guard guard(name_server.mutex);
    EXPECT_EQ(name_server.answered, 0);
}

TEST_F(hanging_lookups, do_not_stop_other_clients) {
    running_broker broker;
    test_clients clients;
    const client_handle hanging = connect(clients);
    clients.connect(broker.port, "c");
    clients.command(hanging, abort_command{7});
    EXPECT_EQ(clients.expect<failure_event>(hanging).ticket, 1U);
    EXPECT_EQ(clients.expect<completion_event>(hanging).ticket, 7U);
}

// A listener whose backlog is full, so that the system has a client wait.
class deaf_listener {
  public:
    explicit deaf_listener(const std::string& path) : path_(path) {
        ::unlink(path.c_str());
        address_.sun_family = AF_UNIX;
        std::strncpy(address_.sun_path, path.c_str(), sizeof address_.sun_path - 1);
        listening_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
        EXPECT_EQ(::bind(listening_, to(), sizeof address_), 0);
        EXPECT_EQ(::listen(listening_, 0), 0);
        while (true) {
            const int waiting = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
            waiting_.push_back(waiting);
            if (::connect(waiting, to(), sizeof address_) != 0) break;
        }
    }
    ~deaf_listener() {
        ::close(listening_);
        for (const int each : waiting_)
            ::close(each);
        ::unlink(path_.c_str());
    }
    deaf_listener(const deaf_listener&) = delete;
    deaf_listener& operator=(const deaf_listener&) = delete;

    // Makes room in the backlog.
    void accept_all() {
        for (std::size_t i = 1; i < waiting_.size(); ++i)
            ::close(::accept(listening_, nullptr, nullptr));
    }
    int accept() const { return ::accept(listening_, nullptr, nullptr); }

  private:
    const sockaddr* to() const { return reinterpret_cast<const sockaddr*>(&address_); }

    std::string path_;
    sockaddr_un address_{};
    int listening_ = -1;
    std::vector<int> waiting_;
};

TEST(hanging_unix_listener, does_not_stop_other_clients) {
    deaf_listener deaf(testing::TempDir() + "deaf-" + std::to_string(::getpid()));
    running_broker broker;
    test_clients clients;
    connect_settings settings;
    settings.endpoint.unix_path = testing::TempDir() + "deaf-" + std::to_string(::getpid());
    settings.client_id = "hangs";
    const client_handle c = clients.engine.open();
    clients.command(c, connect_command{++clients.ticket, settings});
    clients.connect(broker.port, "c");
    // It connects when there is room.
    deaf.accept_all();
    const int accepted = deaf.accept();
    EXPECT_GE(accepted, 0);
    char hello = 0;
    EXPECT_EQ(::recv(accepted, &hello, 1, 0), 1);
    EXPECT_EQ(hello, 0x10);
    ::close(accepted);
}

}  // namespace
}  // namespace amqtt::test
