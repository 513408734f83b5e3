// A broker on a thread of its own: what Python holds.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/message.hpp"
#include "bridge/broker_messages.hpp"
#include "broker/settings.hpp"
#include "broker/stats.hpp"
#include "engine/plugin_hooks.hpp"
#include "server/batch_channel.hpp"
#include "server/listener.hpp"

namespace amqtt {

struct engine_status {
    broker_stats stats;
    std::size_t sessions = 0;
    std::size_t subscriptions = 0;
    std::size_t retained = 0;
    std::size_t inflight_in = 0;
    std::size_t inflight_out = 0;
    std::size_t queued = 0;  // messages that wait for sessions without connection
    std::vector<std::pair<std::string, std::size_t>> connections;  // by listener
    lane_counts exchanged;                                         // between its threads
};

// Who is at the far end of a connection that the application hands in.
struct external_peer {
    std::uint64_t number;  // not 0; the application's, for the events about the connection
    std::string address;
    std::uint16_t port;
};

// Life: construct, listen() as often as needed, start(), stop(); then it is over. In a process
// forked off after construction everything but the destructor throws std::logic_error.
//
// Any thread may call anything but the destructor and take_events() at any time, also beside
// stop(): take_events() is for one thread at a time. What asks the engine is answered by its thread
// as long as that serves clients, which it does while stop() waits for them; then it waits for the
// thread's end, some milliseconds, and has its answer from what the engine has left.
class broker_engine {
  public:
    // threads: how many there are of its own. One owns the state of the broker; with more than one
    // the others have the sockets.
    broker_engine(const broker_settings& settings, policy_settings policy, python_decisions python,
                  std::size_t threads = 1);
    // Stops if that has not been done.
    ~broker_engine();
    broker_engine(const broker_engine&) = delete;
    broker_engine& operator=(const broker_engine&) = delete;

    // Keeps sessions and retained messages beyond the process: state_changes_event tells what
    // changes. Then restore() with what was kept before, part by part, and finish_restore(). To be
    // called before start().
    void keep_state(bool durable, duration commit_delay);
    void restore(stored_state part);
    void finish_restore();
    // After stop(): changes that no event has told. Null: none.
    std::unique_ptr<state_changes> take_changes();
    // The present moment in the terms of what is stored.
    instant now();

    // Binds a listener, unless it is external; it accepts after start(). Throws std::system_error
    // and tls_settings_error.
    std::vector<bound_address> listen(const listener_settings& settings);
    void start();
    // Closes the listeners, publishes the wills of all clients, disconnects each client when it was
    // sent what waits for it, and ends the threads. After limit nobody is waited for any more. The
    // second time it waits until the first has returned.
    void stop(duration limit = {});

    // Serves a connection that the application has accepted: descriptor is a connected stream
    // socket of the Unix domain, whose other end the application holds. Unless this throws the
    // engine owns it from here on, and an external_ended_event will tell when it is over. Throws
    // std::invalid_argument when there is no such listener, and std::system_error.
    void adopt(int descriptor, const std::string& listener_name, external_peer peer);

    // Does something soon, in the order of the calls.
    void execute(broker_command command);

    // -- What the engine holds at this moment. The calls wait for its thread.

    // Reads the files of certificates, keys and authorities again, for new connections. Returns
    // what is wrong, by listener; that one keeps what it has.
    std::vector<std::pair<std::string, std::string>> reload_certificates();
    engine_status status();
    std::size_t session_count();
    std::vector<std::string> session_ids();
    std::optional<session_facts> find_session(const std::string& client_id);
    // Client and granted QoS of every subscription, by filter.
    std::map<std::string, std::vector<std::pair<std::string, qos>>> subscriptions();
    // The same of one filter.
    std::vector<std::pair<std::string, qos>> subscribers_of(const std::string& filter);
    message_ptr find_retained(const std::string& topic);
    std::vector<message_ptr> retained();

    // -- What is done at once, likewise.

    // False if there is such a session.
    bool create_session(const std::string& client_id);
    // The code of SUBACK; nothing when there is no such session.
    std::optional<reason_code> subscribe(const std::string& client_id, const std::string& filter,
                                         qos level);
    // The filters that a session is subscribed to.
    std::vector<std::string> subscriptions_of(const std::string& client_id);
    // Ends a subscription that is not allowed any more; false when there is none.
    bool revoke(const std::string& client_id, const std::string& filter);
    // False when the queue is full or there is no such session.
    bool enqueue(const std::string& client_id, message_ptr content);
    // False when filter has no valid syntax.
    bool subscribe_local(std::uint64_t subscriber, const std::string& filter, qos level);

    // Readable when events() has something to take.
    int event_fd() const;
    // Appends at most `most` events to `into`; true when more have come.
    bool take_events(std::vector<broker_event>& into, std::size_t most);

  private:
    struct parts;

    // Runs f on the engine's thread and waits for its result.
    template <class F>
    auto call(F f);
    parts& checked() const;

    std::unique_ptr<parts> parts_;
    int process_;  // the one it was made in
};

}  // namespace amqtt
