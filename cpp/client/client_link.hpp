#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "bridge/client_messages.hpp"
#include "client/client_dialer.hpp"
#include "net/reactor.hpp"
#include "net/stream.hpp"
#include "net/wake_set.hpp"
#include "protocol/client_connection.hpp"

namespace amqtt {

// One MQTTClient as its engine sees it: the session, and the network connection while there is
// one. Commands and events as in bridge/client_messages.hpp.
class client_link : public flushable, public std::enable_shared_from_this<client_link> {
  public:
    using event_sink = std::function<void(client_event)>;

    // is_crowded tells that Python does not keep up with the events. What watch_by() puts into
    // watched does not stay there longer than it is open.
    client_link(reactor& loop, host_resolver& resolver, block_pool& pool, wake_set& watched,
                client_handle handle, event_sink sink, std::function<bool()> is_crowded);

    void run(const connect_command& command);
    void run(const keep_command& command);
    void run(const client_publish_command& command);
    void run(const subscribe_command& command);
    void run(const unsubscribe_command& command);
    void run(const ping_command& command);
    void run(const authenticate_command& command);
    void run(const acknowledge_command& command);
    void run(const stored_command& command);
    void run(const consumed_command& command);
    void run(const disconnect_command& command);
    void run(const abort_command& command);
    void run(const cancel_command& command);
    void run(const forget_command& command);

    // Time has passed.
    void advance();
    // Python has taken events: reading may go on.
    void resume_reading();

    void flush() override;
    void flush_failed() noexcept override { give_up(); }
    // Something about it was thrown, and reported: the connection ends, as if it was lost.
    void give_up() noexcept;

    // -- while somebody else runs the reactor, who does not wait for sockets

    // Nothing is to be waited for but input and time.
    bool is_quiet() const;
    // Puts the socket, if there is one, into the set of those that are watched; false when that
    // cannot be done. Precondition: is_quiet().
    bool watch();
    // Reads what there is.
    void read_now();

  private:
    // One attempt to connect and the connection that comes of it. Handlers of an older attempt
    // find that it is not the current one any more.
    struct attempt;

    // Runs f if that is the current attempt; if it throws, gives up.
    template <class F>
    void guard(const std::shared_ptr<attempt>& a, F&& f) noexcept {
        if (current_ == a && !loop_.attempt(std::forward<F>(f)) && current_ == a) give_up();
    }
    void dialed(const std::shared_ptr<attempt>& a, const error_code& error, const std::string& what,
                stream_socket socket);
    // False: its CONNECT cannot be encoded.
    [[nodiscard]] bool open_connection(attempt& a);
    void wait_readable();
    void on_readable(const std::shared_ptr<attempt>& a);
    // False when there is nothing more to read now, or the connection is over.
    bool read_some(const std::shared_ptr<attempt>& a);
    void process();
    void perform(const client_connack& action);
    void perform(const client_completed& action);
    void perform(const client_subscribed& action);
    void perform(const client_refused& action);
    void perform(const auth_packet& packet);
    void perform(const disconnect_packet& packet);
    void perform(const publish_packet& packet);
    void perform(const protocol_violation& violation);

    bool is_connected() const noexcept;
    // Takes a message although there is no connection; false when the state is not kept.
    bool put_aside(const client_publish_command& command);
    void tell_changes();
    bool may_read() const;
    // Answers with a failure when there is no connection to send a command on.
    bool require_connection(std::uint64_t ticket);
    void flush_soon();
    // Answers publishes at QoS 0 unless too much output waits.
    void complete_unsent();
    // The connection is lost or was refused; whoever waits for it is told.
    void lose(int error, const std::string& text);
    void lose_stream(const error_code& error);
    // Closes the connection and fails what was asked on it but cannot survive it.
    void close(const std::string& text);
    void complete(std::uint64_t ticket);
    void fail(std::uint64_t ticket, int error, std::string text);
    void refuse(std::uint64_t ticket, const protocol_violation& problem);

    reactor& loop_;
    host_resolver& resolver_;
    block_pool& pool_;
    wake_set& watched_;
    client_handle handle_;
    event_sink sink_;
    std::function<bool()> is_crowded_;
    client_state state_;
    // What waits in Python.
    std::size_t received_messages_ = 0;
    std::size_t received_bytes_ = 0;
    std::shared_ptr<attempt> current_;
};

}  // namespace amqtt
