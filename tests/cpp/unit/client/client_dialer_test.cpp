// A host with several addresses, some of which do not answer.
#include "client/client_dialer.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

namespace amqtt::test {
namespace {

using namespace std::chrono_literals;

// A listener; a deaf one has a full backlog, so that connecting to it takes for ever.
class server {
  public:
    server(asio::io_context& context, const char* address, bool deaf = false)
        : acceptor_(context, tcp::v4()) {
        acceptor_.bind({asio::ip::make_address(address), 0});
        acceptor_.listen(deaf ? 0 : 16);
        for (int i = 0; deaf && i < 8; ++i) {
            auto socket = std::make_unique<tcp::socket>(context, tcp::v4());
            socket->non_blocking(true);
            const tcp::endpoint target = address_of();
            (void)::connect(socket->native_handle(), target.data(),
                            static_cast<socklen_t>(target.size()));
            clogging_.push_back(std::move(socket));
        }
    }
    tcp::endpoint address_of() const { return acceptor_.local_endpoint(); }
    void close() { acceptor_.close(); }

  private:
    tcp::acceptor acceptor_;
    std::vector<std::unique_ptr<tcp::socket>> clogging_;
};

class client_dialer_test : public testing::Test {
  protected:
    // The address it has connected to; the error's text if none.
    std::string dial(const std::vector<tcp::endpoint>& addresses) {
        const auto dialer =
            std::make_shared<client_dialer>(context_, resolver_, endpoint_settings{});
        std::string outcome = "nothing";
        dialer->start(addresses, [&](const error_code& error, const std::string&,
                                     stream_socket socket) {
            outcome = error ? error.message() : "connected";
            if (!error) {
                sockaddr_in peer{};
                socklen_t size = sizeof(peer);
                ::getpeername(socket.native_handle(), reinterpret_cast<sockaddr*>(&peer), &size);
                outcome = asio::ip::address_v4(ntohl(peer.sin_addr.s_addr)).to_string();
            }
        });
        context_.restart();
        context_.run_for(20s);
        return outcome;
    }

    asio::io_context context_;
    host_resolver resolver_{context_};
};

TEST_F(client_dialer_test, the_next_address_does_not_wait_for_one_that_is_silent) {
    const server deaf(context_, "127.0.0.1", true);
    const server second(context_, "127.0.0.2");
    const server third(context_, "127.0.0.3");
    EXPECT_EQ(dial({deaf.address_of(), second.address_of(), third.address_of()}), "127.0.0.2");
}

TEST_F(client_dialer_test, the_next_address_follows_one_that_refuses) {
    server gone(context_, "127.0.0.1");
    const tcp::endpoint nobody = gone.address_of();
    gone.close();
    const server second(context_, "127.0.0.2");
    EXPECT_EQ(dial({nobody, second.address_of()}), "127.0.0.2");
    EXPECT_EQ(dial({nobody, nobody}), "Connection refused");
}

TEST_F(client_dialer_test, the_first_that_answers_wins_though_the_last_fails) {
    server gone(context_, "127.0.0.3");
    const tcp::endpoint nobody = gone.address_of();
    gone.close();
    const server first(context_, "127.0.0.1");
    EXPECT_EQ(dial({first.address_of(), nobody}), "127.0.0.1");
}

}  // namespace
}  // namespace amqtt::test
