#include "transport/broker_connection.hpp"

#include <vector>

namespace amqtt {

broker_connection::broker_connection(core_host& host, const connection_home& home, listener& of,
                                     std::unique_ptr<stream> peer_stream, peer_info peer,
                                     bool behind_proxy)
    : socket_half(home.loop, std::move(peer_stream), behind_proxy),
      client_half(home, of, std::move(peer)),
      host_(host) {}

bool broker_connection::catch_up() {
    if (!is_reading()) return false;
    loop().post([self = shared_from_this()] {
        static_cast<broker_connection&>(*self).socket_half::catch_up();
    });
    return true;
}

// The broker may be at work on what was read last.
void broker_connection::all_read() {
    loop().post(
        [self = shared_from_this()] { static_cast<broker_connection&>(*self).has_caught_up(); });
}

void broker_connection::socket_closed(const std::string& problem) {
    closed(problem);
    host_.forget(std::static_pointer_cast<broker_connection>(shared_from_this()));
}

void core_host::serve(listener& of, std::unique_ptr<stream> peer_stream, peer_info peer,
                      bool behind_proxy) {
    auto made = std::make_shared<broker_connection>(*this, home_, of, std::move(peer_stream),
                                                    std::move(peer), behind_proxy);
    connections_.insert(made);
    made->start();
}

void core_host::stop() {
    const std::vector<std::shared_ptr<broker_connection>> all(connections_.begin(),
                                                              connections_.end());
    for (const auto& each : all)
        each->close();
}

}  // namespace amqtt
