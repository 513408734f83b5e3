// TLS over a pair of sockets: what the broker learns of the peer.
#include "transport/tls_stream.hpp"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include "transport/tls_context.hpp"
#include "transport/tls_objects.hpp"

namespace amqtt::test {
namespace {

const std::string psk_hex = "000102030405060708090a0b0c0d0e0f";

struct free_tls {
    void operator()(FILE* object) const noexcept { (void)std::fclose(object); }
    void operator()(SSL* object) const noexcept { SSL_free(object); }
    void operator()(SSL_CTX* object) const noexcept { SSL_CTX_free(object); }
    void operator()(SSL_SESSION* object) const noexcept { SSL_SESSION_free(object); }
};
template <class T>
using owned = std::unique_ptr<T, free_tls>;

struct identity {
    openssl_ptr<X509> certificate;
    openssl_ptr<EVP_PKEY> key;
};

// A certificate that is its own authority.
identity make_identity(const char* name) {
    identity made{openssl_ptr<X509>(X509_new()), openssl_ptr<EVP_PKEY>(EVP_EC_gen("P-256"))};
    X509* const x = made.certificate.get();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, made.key.get());
    X509_sign(x, made.key.get(), EVP_sha256());
    return made;
}

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
        {
            const owned<FILE> file(std::fopen(path("server.key").c_str(), "w"));
            PEM_write_PrivateKey(file.get(), server_.key.get(), nullptr, nullptr, 0, nullptr,
                                 nullptr);
        }
        std::ofstream(path("keys")) << "sensor:" << psk_hex << '\n';
    }
    ~tls_streams() override { std::filesystem::remove_all(folder_); }

    std::string path(const char* name) const { return (folder_ / name).string(); }
    std::string write(const char* name, const identity& who) const {
        const owned<FILE> file(std::fopen(path(name).c_str(), "w"));
        PEM_write_X509(file.get(), who.certificate.get());
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
