// Connections that the application hands in: one end of a pair of sockets.
#include <array>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/engines.hpp"

namespace amqtt::test {
namespace {

constexpr std::string_view connect_as_c(
    "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01"
    "c",
    15);
constexpr std::string_view connack("\x20\x02\x00\x00", 4);

// The application's end of a connection.
class handed_in {
  public:
    handed_in(broker_engine& engine, std::uint64_t number, const std::string& listener) {
        std::array<int, 2> ends{};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
        ours_ = ends[0];
        try {
            engine.adopt(ends[1], listener, {number, "far.example", 4711});
        } catch (...) {
            ::close(ours_);
            ::close(ends[1]);
            throw;
        }
    }
    ~handed_in() { ::close(ours_); }
    handed_in(const handed_in&) = delete;
    handed_in& operator=(const handed_in&) = delete;

    void send(std::string_view data) const {
        EXPECT_EQ(::send(ours_, data.data(), data.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(data.size()));
    }
    // Some of what has come; empty at the end.
    std::string receive() const {
        std::array<char, 256> buffer{};
        EXPECT_TRUE(wait_readable(ours_));
        const ssize_t n = ::recv(ours_, buffer.data(), buffer.size(), 0);
        return {buffer.data(), n > 0 ? static_cast<std::size_t>(n) : 0};
    }
    void end() const { ::shutdown(ours_, SHUT_WR); }

  private:
    int ours_ = -1;
};

// A broker with a listener that has no socket.
class external : public ::testing::Test {
  protected:
    external() {
        listener_settings settings;
        settings.name = "handed in";
        settings.external = true;
        EXPECT_TRUE(engine.listen(settings).empty());
        engine.start();
    }

    // The number of the next connection whose end is told.
    std::uint64_t next_ended() {
        while (true) {
            std::vector<broker_event> taken;
            engine.take_events(taken, 1);
            if (taken.empty() && !wait_readable(engine.event_fd())) return 0;
            for (const broker_event& event : taken) {
                const auto* ended = std::get_if<external_ended_event>(&event);
                if (ended != nullptr) return ended->number;
            }
        }
    }
    std::size_t connections() { return engine.status().connections.front().second; }

    broker_engine engine{{}, running_broker::admits_everyone(), {}, threads_of_tests()};
};

TEST_F(external, connection_is_served_and_counted) {
    const handed_in c(engine, 7, "handed in");
    c.send(connect_as_c);
    EXPECT_EQ(c.receive(), connack);
    EXPECT_EQ(connections(), 1U);
    const auto facts = engine.find_session("c");
    ASSERT_TRUE(facts);
    EXPECT_EQ(facts->address, "far.example");
    EXPECT_EQ(facts->port, 4711);
    EXPECT_EQ(facts->listener, "handed in");
    EXPECT_EQ(facts->external, 7U);
}

TEST_F(external, end_of_either_side_is_told_once) {
    handed_in ours(engine, 1, "handed in");
    ours.send(connect_as_c);
    EXPECT_EQ(ours.receive(), connack);
    ours.end();
    EXPECT_EQ(next_ended(), 1U);
    EXPECT_EQ(ours.receive(), "");
    EXPECT_EQ(connections(), 0U);
    EXPECT_FALSE(engine.find_session("c"));

    handed_in theirs(engine, 2, "handed in");
    theirs.send(std::string_view("\xc0\x00", 2));  // PINGREQ, which must not come first
    EXPECT_EQ(theirs.receive(), "");
    theirs.end();
    EXPECT_EQ(next_ended(), 2U);
}

TEST_F(external, listener_is_checked) {
    EXPECT_THROW(handed_in(engine, 3, "another"), std::invalid_argument);
    EXPECT_EQ(connections(), 0U);
}

TEST_F(external, stop_ends_every_connection) {
    const handed_in silent(engine, 4, "handed in");
    const handed_in connected(engine, 5, "handed in");
    connected.send(connect_as_c);
    EXPECT_EQ(connected.receive(), connack);
    engine.stop();
    EXPECT_EQ((std::set{next_ended(), next_ended()}), (std::set<std::uint64_t>{4, 5}));
    EXPECT_EQ(silent.receive(), "");
    EXPECT_EQ(connected.receive(), "");
}

// max_connections is for what the broker accepts itself.
TEST(external_beside_a_socket, is_counted_but_not_refused) {
    broker_engine engine({}, running_broker::admits_everyone(), {}, threads_of_tests());
    listener_settings settings;
    settings.name = "both";
    settings.host = "127.0.0.1";
    settings.port = 0;
    settings.max_connections = 1;
    const std::uint16_t port = engine.listen(settings).front().port;
    engine.start();
    const handed_in first(engine, 1, "both");
    const handed_in second(engine, 2, "both");
    second.send(connect_as_c);
    EXPECT_EQ(second.receive(), connack);
    EXPECT_EQ(engine.status().connections.front().second, 2U);
    test_clients clients;
    const client_handle refused = clients.engine.open();
    connect_settings to;
    to.endpoint.host = "127.0.0.1";
    to.endpoint.port = port;
    to.client_id = "refused";
    clients.command(refused, connect_command{5, to});
    EXPECT_EQ(clients.expect<failure_event>(refused).ticket, 5U);
}

}  // namespace
}  // namespace amqtt::test
