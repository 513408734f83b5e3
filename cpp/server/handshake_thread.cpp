#include "server/handshake_thread.hpp"

#include <chrono>
#include <utility>
#include <vector>

namespace amqtt {
namespace {

// From then on it counts as time that the client takes for its CONNECT.
constexpr auto longest_stay = std::chrono::seconds(1);

}  // namespace

class handshake_thread::job : public std::enable_shared_from_this<job> {
  public:
    job(handshake_thread& home, std::unique_ptr<tls_stream> connection, done_handler done)
        : home_(home),
          connection_(std::move(connection)),
          done_(std::move(done)),
          stay_(home.loop_.context(), longest_stay) {}

    void start() {
        stay_.async_wait([self = shared_from_this()](const error_code& cancelled) {
            if (!cancelled) self->leave();
        });
        go_on();
    }

    // Makes its handshake elsewhere, or fails there.
    void turn_away() {
        if (connection_) done_(std::move(connection_));
    }

    void close() {
        stay_.cancel();
        if (connection_) connection_->close();
    }

    void leave() {
        const auto self = shared_from_this();
        if (!connection_ || home_.jobs_.erase(self) == 0) return;
        stay_.cancel();
        error_code ignored;  // then there was nothing to cancel
        connection_->socket().cancel(ignored);
        done_(std::move(connection_));
    }

  private:
    void go_on() {
        if (!connection_) return;
        const io_status status = connection_->shake_hands();
        if (status != io_status::want_read && status != io_status::want_write) {
            leave();
            return;
        }
        connection_->wait(status, [self = shared_from_this()](const error_code& error) {
            if (error) return;
            if (!self->home_.loop_.attempt([&] { self->go_on(); })) self->leave();
        });
    }

    handshake_thread& home_;
    std::unique_ptr<tls_stream> connection_;
    done_handler done_;
    asio::steady_timer stay_;
};

void handshake_thread::admit(std::unique_ptr<tls_stream> connection, done_handler done) {
    auto admitted = std::make_shared<job>(*this, std::move(connection), std::move(done));
    loop_.post([this, admitted = std::move(admitted)] {
        const bool is_in = loop_.attempt([&] { jobs_.insert(admitted); });
        if (!is_in) {
            admitted->turn_away();
        } else if (!loop_.attempt([&] { admitted->start(); })) {
            admitted->leave();
        }
    });
}

void handshake_thread::end() {
    loop_.post([this] {
        const std::vector<std::shared_ptr<job>> all(jobs_.begin(), jobs_.end());
        jobs_.clear();
        for (const auto& each : all)
            each->close();
    });
    loop_.join();
}

}  // namespace amqtt
