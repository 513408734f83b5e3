#include "server/handshake_thread.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/engines.hpp"
#include "support/tls_identity.hpp"
#include "tls/tls_context.hpp"

namespace amqtt::test {
namespace {

// The client's end of a connection whose other end makes its handshake on that thread.
class handshakes : public testing::Test {
  protected:
    handshakes() {
        std::filesystem::create_directories(folder_);
        const identity server = make_identity("server");
        write_certificate(path("server.crt"), server);
        write_key(path("server.key"), server);
        tls_settings settings;
        settings.certificates = {{path("server.crt"), path("server.key"), {}}};
        std::array<int, 2> ends{};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
        end_ = ends[1];
        stream_socket socket(door_.loop().context());
        socket.assign(asio::local::stream_protocol(), ends[0]);
        door_.start();
        door_.admit(
            std::make_unique<tls_stream>(std::move(socket), std::make_shared<tls_context>(settings),
                                         door_.loop().write_buffer()),
            [this](std::unique_ptr<tls_stream> made) { made_.set_value(std::move(made)); });
        SSL_set_fd(client_.get(), end_);
    }
    ~handshakes() override {
        if (!has_ended_) door_.end();
        ::close(end_);
        std::filesystem::remove_all(folder_);
    }

    std::string path(const char* name) const { return (folder_ / name).string(); }
    bool shake_hands() { return SSL_connect(client_.get()) == 1; }
    void send(std::string_view text) {
        EXPECT_EQ(SSL_write(client_.get(), text.data(), static_cast<int>(text.size())),
                  static_cast<int>(text.size()));
    }
    // What the thread has given away, on its new one, which is ours.
    std::unique_ptr<tls_stream> given() {
        auto given = made_.get_future().get();
        given->move_to(elsewhere_);
        return given;
    }
    void end_thread() {
        has_ended_ = true;
        door_.end();
    }

    static std::string read(tls_stream& from) {
        std::array<std::uint8_t, 64> buffer{};
        while (true) {
            const io_result got = from.read(buffer);
            if (got.status == io_status::done) {
                return std::string(as_text(bytes_view(buffer).first(got.size)));
            }
            if (got.status != io_status::want_read) return "failed";
            if (!wait_readable(from.socket().native_handle())) return "nothing";
        }
    }

    const std::filesystem::path folder_ =
        std::filesystem::path(testing::TempDir()) /
        ("door-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)));
    int end_ = -1;
    const owned<SSL_CTX> client_context_{SSL_CTX_new(TLS_client_method())};
    const owned<SSL> client_{SSL_new(client_context_.get())};
    reactor elsewhere_;
    std::promise<std::unique_ptr<tls_stream>> made_;
    handshake_thread door_;
    bool has_ended_ = false;
};

TEST_F(handshakes, are_complete_when_the_connection_goes_on) {
    ASSERT_TRUE(shake_hands());
    const auto stream = given();
    ASSERT_NE(stream->tls(), nullptr);
    send("hello");
    EXPECT_EQ(read(*stream), "hello");
    std::array<bytes_view, 1> answer = {as_bytes("there")};
    EXPECT_EQ(stream->write(answer).size, 5U);
    std::array<char, 5> got{};
    EXPECT_EQ(SSL_read(client_.get(), got.data(), 5), 5);
    EXPECT_EQ(std::string_view(got.data(), 5), "there");
}

TEST_F(handshakes, leave_what_comes_behind_them_to_be_read) {
    ASSERT_TRUE(shake_hands());
    send("hello");
    const auto stream = given();
    EXPECT_TRUE(stream->has_input());  // nobody has looked yet
    EXPECT_EQ(read(*stream), "hello");
    EXPECT_FALSE(stream->has_input());
}

TEST_F(handshakes, that_fail_are_reported_by_the_next_read) {
    constexpr std::string_view request = "GET / HTTP/1.0\r\n\r\n";
    ASSERT_EQ(::send(end_, request.data(), request.size(), 0),
              static_cast<ssize_t>(request.size()));
    const auto stream = given();
    EXPECT_EQ(stream->tls(), nullptr);
    EXPECT_EQ(stream->problem(), "TLS handshake failed: http request");
    std::array<std::uint8_t, 8> buffer{};
    EXPECT_NE(stream->read(buffer).status, io_status::done);
}

TEST_F(handshakes, that_take_long_are_made_elsewhere) {
    const auto stream = given();
    EXPECT_EQ(stream->tls(), nullptr);
    EXPECT_EQ(stream->problem(), "");
    std::thread client([this] {
        if (shake_hands()) send("late");
    });
    EXPECT_EQ(read(*stream), "late");
    client.join();
}

TEST_F(handshakes, are_given_up_at_the_end) {
    end_thread();
    std::array<char, 1> buffer{};
    EXPECT_EQ(::recv(end_, buffer.data(), 1, 0), 0);
    EXPECT_NE(made_.get_future().wait_for(std::chrono::seconds(0)), std::future_status::ready);
}

}  // namespace
}  // namespace amqtt::test
