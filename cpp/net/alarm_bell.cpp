#include "net/alarm_bell.hpp"

#include <utility>

namespace amqtt {

alarm_bell::alarm_bell(reactor& loop, std::function<void()> heard)
    : loop_(loop), heard_(std::move(heard)), descriptor_(loop.context(), notifier_.fd()) {}

alarm_bell::~alarm_bell() {
    descriptor_.release();  // the notifier's
}

void alarm_bell::stop() {
    is_stopped_ = true;
    descriptor_.cancel();
}

void alarm_bell::listen() {
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const error_code& e) {
        if (e || is_stopped_) return;
        notifier_.reset();
        loop_.turn(heard_);
        if (!is_stopped_) loop_.insist([this] { listen(); });
    });
}

}  // namespace amqtt
