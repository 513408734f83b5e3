#include "server/local_connection.hpp"

#include <algorithm>
#include <vector>

namespace amqtt {

local_connection::local_connection(core_host& host, const broker_context& home, listener& of,
                                   std::unique_ptr<stream> peer_stream, peer_info peer,
                                   bool behind_proxy)
    : socket_endpoint(home.loop, std::move(peer_stream), behind_proxy),
      client_endpoint(home, of, std::move(peer)),
      host_(host) {}

bool local_connection::catch_up() {
    if (!is_reading()) return false;
    loop().post([self = shared_from_this()] {
        static_cast<local_connection&>(*self).socket_endpoint::catch_up();
    });
    return true;
}

// The broker may be at work on what was read last.
void local_connection::all_read() {
    loop().post(
        [self = shared_from_this()] { static_cast<local_connection&>(*self).has_caught_up(); });
}

void local_connection::close_soon(reason_code reason) {
    if (closed_for_) {
        close_at_last();
    } else {
        close_after_output(reason);
    }
}

void local_connection::resume_reading() {
    if (closed_for_) {
        close_at_last();
    } else {
        go_on_reading();
    }
}

// The broker may be at work on what was read last.
void local_connection::close_at_last() {
    loop().insist([this] {  // else it would never go
        loop().post([self = shared_from_this()] {
            auto& me = static_cast<local_connection&>(*self);
            if (const auto problem = std::exchange(me.closed_for_, nullptr)) {
                me.socket_closed(*problem);
            }
        });
    });
}

void local_connection::socket_closed(const std::string& problem) {
    // What a peer has sent before it closed the connection counts.
    if (has_input_left()) {
        loop().insist([&] { closed_for_ = std::make_unique<std::string>(problem); });
        return;
    }
    closed(problem);
    host_.forget(std::static_pointer_cast<local_connection>(shared_from_this()));
}

void core_host::serve(listener& of, std::unique_ptr<stream> peer_stream, peer_info peer,
                      bool behind_proxy) {
    auto made = std::make_shared<local_connection>(*this, home_, of, std::move(peer_stream),
                                                   std::move(peer), behind_proxy);
    connections_.insert(made);
    made->start();
}

void core_host::stop() {
    const std::vector<std::shared_ptr<local_connection>> all(connections_.begin(),
                                                             connections_.end());
    for (const auto& each : all)
        each->finish();
}

bool core_host::is_all_sent() const noexcept {
    return std::all_of(connections_.begin(), connections_.end(),
                       [](const auto& each) { return each->has_sent_all(); });
}

}  // namespace amqtt
