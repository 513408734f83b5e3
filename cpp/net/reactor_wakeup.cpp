#include "net/reactor_wakeup.hpp"

#include <utility>

namespace amqtt {

reactor_wakeup::reactor_wakeup(reactor& loop, std::function<void()> heard)
    : loop_(loop), heard_(std::move(heard)), descriptor_(loop.context(), notifier_.fd()) {}

reactor_wakeup::~reactor_wakeup() {
    descriptor_.release();  // the notifier's
}

void reactor_wakeup::stop() {
    is_stopped_ = true;
    descriptor_.cancel();
}

void reactor_wakeup::listen() {
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const error_code& e) {
        if (e || is_stopped_) return;
        notifier_.reset();
        loop_.turn(heard_);
        if (!is_stopped_) loop_.insist([this] { listen(); });
    });
}

}  // namespace amqtt
