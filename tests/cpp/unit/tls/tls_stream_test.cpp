// TLS over a pair of sockets: what the broker learns of the peer.
#include "tls/tls_stream.hpp"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <vector>

#include <gtest/gtest.h>

#include "support/tls_identity.hpp"
#include "tls/tls_context.hpp"
#include "tls/tls_objects.hpp"

namespace amqtt::test {
namespace {

const std::string psk_hex = "000102030405060708090a0b0c0d0e0f";

std::vector<std::uint8_t> der_of(X509* certificate) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate, &der);
    std::vector<std::uint8_t> bytes(der, der + size);
    OPENSSL_free(der);
    return bytes;
}

unsigned int give_key(SSL*, const char*, char* name, unsigned int room, unsigned char* key,
                      unsigned int) {
    (void)std::snprintf(name, room, "sensor");
    for (unsigned char i = 0; i < 16; ++i)
        key[i] = i;
    return 16;
}

class tls_streams : public testing::TestWithParam<int> {
  protected:
    tls_streams() {
        std::filesystem::create_directories(folder_);
        settings_.cafile = write("client.crt", client_);
        write("server.crt", server_);
        write_key(path("server.key"), server_);
        std::ofstream(path("keys")) << "sensor:" << psk_hex << '\n';
    }
    ~tls_streams() override { std::filesystem::remove_all(folder_); }

    std::string path(const char* name) const { return (folder_ / name).string(); }
    std::string write(const char* name, const identity& who) const {
        write_certificate(path(name), who);
        return path(name);
    }
    void use_certificate() {
        settings_.certificates = {{path("server.crt"), path("server.key"), {}}};
    }
    void use_keys() { settings_.psk_file = path("keys"); }

    void start() {
        server_context_ = std::make_shared<tls_context>(settings_);
        client_context_.reset(SSL_CTX_new(TLS_client_method()));
        SSL_CTX_set_min_proto_version(client_context_.get(), GetParam());
        SSL_CTX_set_max_proto_version(client_context_.get(), GetParam());
    }

    // Connects, exchanges a few bytes and returns what the broker knows then.
    std::shared_ptr<const tls_peer> meet() {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) != 0) return {};
        stream_socket socket(loop_);
        socket.assign(asio::local::stream_protocol(), ends[0]);
        stream_socket other(loop_);
        other.assign(asio::local::stream_protocol(), ends[1]);
        tls_stream server(std::move(socket), server_context_, scratch_);
        EXPECT_EQ(server.tls(), nullptr);
        const owned<SSL> client(SSL_new(client_context_.get()));
        SSL_set_fd(client.get(), ends[1]);
        if (session_) SSL_set_session(client.get(), session_.get());

        std::array<std::uint8_t, 16> buffer{};
        std::string received;
        for (int turn = 0; turn < 20 && received.empty(); ++turn) {
            if (SSL_connect(client.get()) == 1) SSL_write(client.get(), "hello", 5);
            const io_result got = server.read(buffer);
            received.append(as_text(bytes_view(buffer).first(got.size)));
        }
        if (!received.starts_with("hello")) return {};
        std::array<bytes_view, 1> answer = {as_bytes("x")};
        server.write(answer);
        SSL_read(client.get(), buffer.data(), 1);  // tickets of TLS 1.3 come with it
        resumed_ = SSL_session_reused(client.get()) == 1;
        session_.reset(SSL_get1_session(client.get()));
        SSL_shutdown(client.get());  // else the session does not count as good
        return server.tls();
    }

    const std::filesystem::path folder_ =
        std::filesystem::path(testing::TempDir()) /
        ("tls-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)));
    const identity client_ = make_identity("client");
    const identity server_ = make_identity("server");
    tls_settings settings_;
    asio::io_context loop_;
    std::vector<std::uint8_t> scratch_ = std::vector<std::uint8_t>(tls_stream::record_size);
    std::shared_ptr<const tls_context> server_context_;
    owned<SSL_CTX> client_context_;
    owned<SSL_SESSION> session_;
    bool resumed_ = false;
};

INSTANTIATE_TEST_SUITE_P(versions, tls_streams, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& info) {
                             return info.param == TLS1_2_VERSION ? "tls_1_2" : "tls_1_3";
                         });

TEST_P(tls_streams, tell_nothing_of_a_client_without_a_certificate) {
    use_certificate();
    start();
    const auto peer = meet();
    ASSERT_NE(peer, nullptr);
    EXPECT_EQ(peer->version, GetParam() == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
    EXPECT_NE(peer->cipher, "");
    EXPECT_TRUE(peer->certificate.empty());
    EXPECT_EQ(peer->psk_identity, "");
}

TEST_P(tls_streams, tell_the_certificate_also_of_a_resumed_session) {
    use_certificate();
    settings_.require_client_certificate = true;
    start();
    SSL_CTX_use_certificate(client_context_.get(), client_.certificate.get());
    SSL_CTX_use_PrivateKey(client_context_.get(), client_.key.get());
    for (const bool again : {false, true, true}) {
        const auto peer = meet();
        ASSERT_NE(peer, nullptr);
        EXPECT_EQ(resumed_, again);
        EXPECT_EQ(peer->certificate, der_of(client_.certificate.get()));
    }
}

TEST_P(tls_streams, tell_the_identity_of_a_key) {
    use_keys();
    for (const bool with_certificate : {false, true}) {
        if (with_certificate) use_certificate();
        start();
        SSL_CTX_set_psk_client_callback(client_context_.get(), give_key);
        const auto peer = meet();
        ASSERT_NE(peer, nullptr);
        EXPECT_EQ(peer->psk_identity, "sensor");
        EXPECT_TRUE(peer->certificate.empty());
    }
}

TEST_P(tls_streams, tell_the_identity_of_a_resumed_session) {
    use_keys();
    start();
    SSL_CTX_set_psk_client_callback(client_context_.get(), give_key);
    ASSERT_NE(meet(), nullptr);
    if (GetParam() == TLS1_3_VERSION) {
        // So that nothing but the ticket can have it.
        SSL_CTX_set_psk_client_callback(client_context_.get(), nullptr);
    }
    for (int i = 0; i < 2; ++i) {
        const auto peer = meet();
        ASSERT_NE(peer, nullptr);
        EXPECT_TRUE(resumed_);
        EXPECT_EQ(peer->psk_identity, "sensor");
    }
}

TEST_P(tls_streams, outlive_the_context_of_a_listener) {
    use_keys();
    start();
    SSL_CTX_set_psk_client_callback(client_context_.get(), give_key);
    const std::weak_ptr<const tls_context> context = server_context_;
    ASSERT_NE(meet(), nullptr);
    server_context_.reset();
    EXPECT_TRUE(context.expired());  // and nothing else holds it
}

std::string key_extension(const std::vector<std::string>& identities) {
    std::string list;
    for (const std::string& each : identities) {
        list += static_cast<char>(each.size() >> 8);
        list += static_cast<char>(each.size() & 0xFF);
        list += each + std::string(4, '\0');
    }
    return std::string{static_cast<char>(list.size() >> 8), static_cast<char>(list.size() & 0xFF)} +
           list + "binders";
}

// A server's stream and a client that has given the name of a key which the server must ask for.
class tls_key_questions : public tls_streams {
  protected:
    void meet_with_question() {
        settings_.psk_plugins = true;
        start();
        SSL_CTX_set_psk_client_callback(client_context_.get(), give_key);
        std::array<int, 2> ends{};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
        stream_socket socket(loop_);
        socket.assign(asio::local::stream_protocol(), ends[0]);
        other_.assign(asio::local::stream_protocol(), ends[1]);
        served_ = std::make_unique<tls_stream>(std::move(socket), server_context_, scratch_);
        client_session_.reset(SSL_new(client_context_.get()));
        SSL_set_fd(client_session_.get(), ends[1]);
        SSL_set_connect_state(client_session_.get());
        ASSERT_EQ(exchange(), io_status::want_key);
        EXPECT_EQ(served_->key_question(), "sensor");
    }

    // Until the server has input, or does not get on any more.
    io_status exchange() {
        for (int turn = 0; turn < 20; ++turn) {
            if (SSL_do_handshake(client_session_.get()) == 1) {
                const std::uint8_t byte = 'x';
                SSL_write(client_session_.get(), &byte, 1);
            }
            const io_status status = served_->read(buffer_).status;
            if (status != io_status::want_read) return status;
        }
        return io_status::want_read;
    }

    std::array<std::uint8_t, 64> buffer_{};
    std::vector<std::uint8_t> scratch_ = std::vector<std::uint8_t>(tls_stream::record_size);
    stream_socket other_{loop_};
    owned<SSL> client_session_;
    std::unique_ptr<tls_stream> served_;
};

TEST_P(tls_key_questions, are_answered_with_a_key) {
    ASSERT_NO_FATAL_FAILURE(meet_with_question());
    std::array<std::uint8_t, 16> key{};
    give_key(nullptr, nullptr, std::array<char, 8>{}.data(), 8, key.data(), key.size());
    served_->answer_key(key);
    EXPECT_EQ(exchange(), io_status::done);
    EXPECT_EQ(buffer_[0], 'x');
    EXPECT_EQ(served_->key_question(), "");
    EXPECT_EQ(served_->tls()->psk_identity, "sensor");
}

TEST_P(tls_key_questions, are_answered_without_a_key) {
    ASSERT_NO_FATAL_FAILURE(meet_with_question());
    served_->answer_key({});
    EXPECT_EQ(exchange(), io_status::ended);
    EXPECT_NE(served_->problem().find("TLS handshake failed"), std::string::npos);
}

TEST_P(tls_key_questions, end_with_the_stream) {
    ASSERT_NO_FATAL_FAILURE(meet_with_question());
    served_->close();
    served_.reset();  // LeakSanitizer would find the job
}

INSTANTIATE_TEST_SUITE_P(versions, tls_key_questions,
                         testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

TEST(names_a_key, finds_names_but_no_tickets_where_plugins_have_keys) {
    const psk_table none;
    const std::string ticket = "\xff" + std::string(200, '\x80');
    EXPECT_TRUE(names_a_key(as_bytes(key_extension({ticket, "sensor"})), none, true));
    EXPECT_FALSE(names_a_key(as_bytes(key_extension({ticket, ""})), none, true));
}

TEST(names_a_key, finds_an_identity_among_tickets) {
    const auto keys = psk_table::parse("sensor:" + psk_hex, "keys");
    const std::string ticket(200, 't');
    EXPECT_TRUE(names_a_key(as_bytes(key_extension({"sensor"})), keys));
    EXPECT_TRUE(names_a_key(as_bytes(key_extension({ticket, "sensor"})), keys));
    EXPECT_FALSE(names_a_key(as_bytes(key_extension({ticket, "other", ""})), keys));
    const std::string whole = key_extension({ticket, "sensor"});
    const std::size_t without_binders = whole.size() - 7;
    for (std::size_t size = 0; size < without_binders; ++size)
        EXPECT_FALSE(names_a_key(as_bytes(whole).first(size), keys)) << size;
}

}  // namespace
}  // namespace amqtt::test
