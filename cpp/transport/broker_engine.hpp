// A broker on a thread of its own: what Python holds.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/message.hpp"
#include "bridge/broker_messages.hpp"
#include "broker/settings.hpp"
#include "broker/stats.hpp"
#include "policy/packaged_policy.hpp"
#include "transport/listener.hpp"

namespace amqtt {

struct engine_status {
    broker_stats stats;
    std::size_t sessions = 0;
    std::size_t subscriptions = 0;
    std::size_t retained = 0;
    std::vector<std::pair<std::string, std::size_t>> connections;  // by listener
};

// Life: construct, listen() as often as needed, start(), stop(); then it is over. May be called
// from any one thread at a time. In a process forked off after construction everything but the
// destructor throws std::logic_error.
class broker_engine {
  public:
    broker_engine(const broker_settings& settings, const policy_settings& policy);
    // Stops if that has not been done.
    ~broker_engine();
    broker_engine(const broker_engine&) = delete;
    broker_engine& operator=(const broker_engine&) = delete;

    // Binds a listener; it accepts after start(). Throws std::system_error and
    // tls_settings_error.
    std::vector<bound_address> listen(const listener_settings& settings);
    void start();
    // Closes listeners and connections and ends the thread. Does nothing the second time.
    void stop();

    // Reads the files of certificates, keys and authorities again, for new connections. Returns
    // what is wrong, by listener; that one keeps what it has.
    std::vector<std::pair<std::string, std::string>> reload_certificates();

    // Publishes a message of the server.
    void publish(message_ptr content, std::optional<qos> level);
    engine_status status();

    // Readable when events() has something to take.
    int event_fd() const;
    // Appends at most `most` events to `into`; true when more have come.
    bool take_events(std::vector<broker_event>& into, std::size_t most);

  private:
    struct parts;

    parts& checked() const;

    std::unique_ptr<parts> parts_;
    int process_;  // the one it was made in
};

}  // namespace amqtt
