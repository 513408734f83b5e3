// A thread with sockets beside the thread of the core: its own side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include "net/reactor.hpp"
#include "net/reactor_wakeup.hpp"
#include "server/io_batches.hpp"
#include "server/socket_endpoint.hpp"

namespace amqtt {

class io_thread;

// A socket whose client is on the thread of the core. Made there, and from start() on on its own.
class remote_socket final : public socket_endpoint,
                            public boost::intrusive::list_base_hook<
                                boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  public:
    remote_socket(io_thread& home, remote_client& other, std::unique_ptr<stream> peer_stream,
                  bool behind_proxy);

    // The output is copied, or segments.
    void obey(const socket_order& order, bytes_view copied, std::span<output_segment> segments);
    void flush() override;
    // Some of its input was dealt with.
    void input_done(std::size_t size) noexcept { under_way_ -= size; }
    // Reads again if it waits for that and may.
    void reconsider();

  private:
    std::span<std::uint8_t> input_buffer() override;
    bool input_read(bytes_view input) override;
    void all_read() override;
    output_queue& output() override;
    void output_written(std::size_t size) override;
    void peer_found(std::string address, std::uint16_t port) override;
    void handshake_done(std::shared_ptr<const tls_peer> tls) override;
    void key_wanted(std::string_view identity) override;
    void peer_ended() override;
    void peer_left() override;
    void socket_closed(const std::string& problem) override;

    bool may_read() const noexcept;

    io_thread& home_;
    remote_client& other_;
    output_queue output_;
    std::size_t under_way_ = 0;  // input
    std::size_t deferred_ = 0;   // bytes written since the core was last woken for that
    bool is_stopped_ = false;    // the core wants no input
    bool is_to_be_flushed_ = false;
};

class io_thread final : public flushable, public std::enable_shared_from_this<io_thread> {
  public:
    // collect: has the core take what was reported, on this thread; false if it is at work
    // elsewhere.
    io_thread(io_lanes& lanes, const input_bounds& bounds, std::size_t urgent_size,
              std::function<bool()> collect);
    ~io_thread() override = default;

    reactor& loop() noexcept { return loop_; }
    // Orders were pushed. Any thread.
    void wake() noexcept { orders_came_.ring(); }
    void start();
    // Ends the thread without an order.
    void abandon();
    void join() { loop_.join(); }

    // -- on the thread

    void flush() override;
    // Tries again: the core must learn of what was reported.
    void flush_failed() noexcept override;

    // -- for its sockets

    // Room for input; empty: too much is under way.
    std::span<std::uint8_t> input_room();
    bool may_read(std::size_t under_way) const noexcept;
    void wait_for_leave_to_read(remote_socket& waiting);
    void report(socket_report what, bool urgent);
    void report_input(remote_client& to, remote_socket& from, bytes_view input);
    block_pool& pool() noexcept { return pool_; }
    // Output of one connection that the core is told of at once.
    std::size_t urgent_size() const noexcept { return urgent_size_; }

  private:
    void flush_later() noexcept;
    void take_orders();
    void obey(order_batch& batch);
    void take_back(std::unique_ptr<report_batch> used);
    void stop();

    io_lanes& lanes_;
    const input_bounds& bounds_;
    const std::size_t urgent_size_;
    const std::function<bool()> collect_;
    block_pool pool_;  // outlives the sockets that operations of the loop hold
    reactor loop_;
    reactor_wakeup orders_came_;  // keeps the loop running
    boost::unordered_flat_set<std::shared_ptr<remote_socket>> sockets_;
    boost::intrusive::list<remote_socket, boost::intrusive::constant_time_size<false>> waiting_;
    std::unique_ptr<report_batch> open_;
    bool is_urgent_ = false;
    bool is_to_be_flushed_ = false;
    bool is_stopping_ = false;
    input_chunk chunk_;  // where input goes
    std::size_t chunk_used_ = 0;
    std::size_t under_way_ = 0;
    std::vector<input_chunk> free_chunks_;
    std::vector<std::unique_ptr<report_batch>> spare_;
    std::vector<std::unique_ptr<order_batch>> taken_;  // scratch of take_orders()
    // Obeyed, but sockets may not have looked at their output yet.
    std::vector<std::unique_ptr<order_batch>> in_use_;
};

}  // namespace amqtt
