// A thread with sockets beside the thread of the core: the side of the core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "server/client_endpoint.hpp"
#include "server/connection_host.hpp"
#include "server/io_batches.hpp"
#include "server/io_thread.hpp"

namespace amqtt {

class io_host;

// A client whose socket is on another thread.
class remote_client final : public client_endpoint,
                            public boost::intrusive::list_base_hook<
                                boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  public:
    remote_client(io_host& host, const broker_context& home, listener& of, peer_info peer);

    void flush_soon() override { wants_something(); }
    void close_soon(reason_code reason) override;
    void resume_reading() override;
    bool catch_up() override;
    void give_key(bytes_view key) override;

    // Has the socket closed, whatever is still to be sent.
    void close_at_once() {
        is_broken_ = closes_ = true;
        wants_something();
    }
    // What the socket has to tell. After report_kind::closed the client is gone.
    void take(socket_report& report);
    // Puts down what is wanted of the socket.
    void give_order(order_batch& to);
    // The same when the socket is closed. The client may be gone after that.
    void attend();

    // Set once; it belongs to its thread.
    remote_socket* socket = nullptr;
    // Among those that want something of theirs.
    bool is_noted = false;

  private:
    void wants_something();
    void set_reading(bool wanted);

    io_host& host_;
    // Why the socket was closed, while there is input left that came before.
    std::unique_ptr<std::string> closed_for_;
    std::unique_ptr<std::string> key_;
    std::optional<reason_code> close_reason_;
    bool reading_ = true;
    bool told_reading_ = true;
    bool catches_up_ = false;
    bool peer_left_ = false;
    bool closes_ = false;
    bool is_done_ = false;    // with its input, or with all of it
    bool is_broken_ = false;  // what its peer has sent is not looked at any more
};

class io_host final : public connection_host,
                      public flushable,
                      public std::enable_shared_from_this<io_host> {
  public:
    io_host(const broker_context& home, const input_bounds& bounds = {});
    ~io_host() override;

    reactor& loop() noexcept override { return thread_->loop(); }
    void serve(listener& of, std::unique_ptr<stream> peer_stream, peer_info peer,
               bool behind_proxy) override;
    std::size_t size() const noexcept override { return size_; }
    lane_counts exchanged() const override;
    void collect() override;
    bool is_all_sent() const noexcept override;
    void stop() override;
    void end() override;
    void start_thread() override;
    void join_thread() override { thread_->join(); }
    void abandon_thread() override;

    void flush() override;
    // What is to be handed over is, with the next tick.
    void flush_failed() noexcept override { is_to_be_flushed_ = false; }

    // -- for its clients

    void note(remote_client& wanting);
    // Lets it attend to what it wants when the broker does not work on it.
    void attend_later(remote_client& wanting);
    // It is destroyed.
    void forget(remote_client& gone);

  private:
    void flush_later();
    void attend_to_waiting();
    void deal_with(socket_report& report);
    // Takes what its thread has to tell, on that thread. False: the core is at work elsewhere.
    bool collect_here();

    const broker_context& home_;
    input_bounds bounds_;
    reactor_wakeup reports_came_;
    io_lanes lanes_;
    std::shared_ptr<io_thread> thread_;
    boost::intrusive::list<remote_client, boost::intrusive::constant_time_size<false>> clients_;
    std::size_t size_ = 0;
    std::vector<remote_client*> noted_;
    std::vector<remote_client*> to_attend_;
    std::unique_ptr<order_batch> open_;
    std::size_t returned_cost_ = 0;  // of batches that were returned without hurry
    bool is_to_be_flushed_ = false;
    std::vector<std::unique_ptr<order_batch>> spare_;
    std::vector<std::unique_ptr<report_batch>> taken_;  // scratch of collect()
};

}  // namespace amqtt
