#include "server/io_thread.hpp"

#include <algorithm>
#include <utility>

namespace amqtt {
namespace {

constexpr std::size_t chunk_size = 256 * 1024;
// Less than this is not worth a read.
constexpr std::size_t least_room = 64 * 1024;
// What a report counts for beside its input: many small ones must not be free.
constexpr std::size_t report_cost = 64;
constexpr std::size_t kept_chunks = 4;
constexpr std::size_t kept_batches = 4;

}  // namespace

// -- one socket

remote_socket::remote_socket(io_thread& home, remote_client& other,
                             std::unique_ptr<stream> peer_stream, bool behind_proxy)
    : socket_endpoint(home.loop(), std::move(peer_stream), behind_proxy),
      home_(home),
      other_(other),
      output_(home.pool()) {}

void remote_socket::obey(const socket_order& order, bytes_view copied,
                         std::span<output_segment> segments) {
    output_.take_over(segments);
    // Behind output that has to wait it is copied at once, to lie close together.
    if (output_.empty()) {
        output_.append_borrowed(copied);
    } else {
        output_.append(copied);
    }
    if (!is_open()) {
        output_.clear();
        return;
    }
    if (order.reading == reading_order::stop) {
        is_stopped_ = true;
        stop_reading();
    } else if (order.reading == reading_order::go_on) {
        is_stopped_ = false;
        if (may_read()) {
            go_on_reading();
        } else {
            home_.wait_for_leave_to_read(*this);
        }
    }
    if (order.catches_up) {
        if (is_stopped_) {
            all_read();
        } else {
            catch_up();
        }
    }
    if (order.key) give_key(as_bytes(*order.key));
    if (order.closes_after_output) close_after_output(order.reason);
    if (order.closes) {
        flush();
        close();
    } else if (!output_.empty() && !std::exchange(is_to_be_flushed_, true)) {
        flush_output();
    }
}

void remote_socket::flush() {
    socket_endpoint::flush();
    output_.keep_borrowed();
}

bool remote_socket::may_read() const noexcept {
    return home_.may_read(under_way_);
}

void remote_socket::reconsider() {
    if (!may_read()) return;
    unlink();
    if (!is_stopped_) go_on_reading();
}

std::span<std::uint8_t> remote_socket::input_buffer() {
    if (may_read()) return home_.input_room();
    home_.wait_for_leave_to_read(*this);
    return {};
}

bool remote_socket::input_read(bytes_view input) {
    home_.report_input(other_, *this, input);
    under_way_ += input.size();
    return true;
}

void remote_socket::all_read() {
    home_.report({&other_, this, report_kind::caught_up}, true);
}

output_queue& remote_socket::output() {
    is_to_be_flushed_ = false;
    return output_;
}

// The core counts on being told in time only by when its bound of unsent output is reached.
void remote_socket::output_written(std::size_t size) {
    deferred_ += size;
    const bool urgent = deferred_ >= home_.urgent_size();
    if (urgent) deferred_ = 0;
    home_.report({&other_, this, report_kind::written, size}, urgent);
}

void remote_socket::peer_found(std::string address, std::uint16_t port) {
    auto details = std::make_unique<report_details>();
    details->text = std::move(address);
    details->port = port;
    home_.report({&other_, this, report_kind::peer, 0, nullptr, std::move(details)}, false);
}

void remote_socket::handshake_done(std::shared_ptr<const tls_peer> tls) {
    auto details = std::make_unique<report_details>();
    details->tls = std::move(tls);
    home_.report({&other_, this, report_kind::tls, 0, nullptr, std::move(details)}, false);
}

void remote_socket::key_wanted(std::string_view identity) {
    auto details = std::make_unique<report_details>();
    details->text = identity;
    home_.report({&other_, this, report_kind::key, 0, nullptr, std::move(details)}, true);
}

void remote_socket::peer_ended() {
    home_.report({&other_, this, report_kind::ended}, true);
}

void remote_socket::peer_left() {
    if (under_way_ == 0) {
        flush();
        close();
        return;
    }
    home_.report({&other_, this, report_kind::left}, true);
    stop_reading();  // behind that: it may be the answer to catch_up()
}

void remote_socket::socket_closed(const std::string& problem) {
    output_.clear();
    unlink();
    // Without it the client would stay for ever.
    loop().insist([&] {
        std::unique_ptr<report_details> details;
        if (!problem.empty()) {
            details = std::make_unique<report_details>();
            details->text = problem;
        }
        home_.report({&other_, this, report_kind::closed, 0, nullptr, std::move(details)}, true);
    });
}

// -- the thread

io_thread::io_thread(io_lanes& lanes, const input_bounds& bounds, std::size_t urgent_size,
                     std::function<bool()> collect)
    : lanes_(lanes),
      bounds_(bounds),
      urgent_size_(urgent_size),
      collect_(std::move(collect)),
      orders_came_(loop_, [this] { take_orders(); }),
      open_(std::make_unique<report_batch>()) {}

void io_thread::start() {
    orders_came_.listen();
    // Streams end on their own thread: OpenSSL's suspended handshakes have to.
    loop_.start([this] { sockets_.clear(); });
}

void io_thread::abandon() {
    loop_.post([this] { stop(); });
}

void io_thread::take_orders() {
    lanes_.orders.take(taken_);
    for (auto& batch : taken_) {
        if (is_stopping_) return;
        for (auto& used : batch->returned)
            take_back(std::move(used));
        batch->returned.clear();
        obey(*batch);
        if (batch->stops) stop();
        loop_.insist([&] { in_use_.push_back(std::move(batch)); });
    }
    for (auto it = waiting_.begin(); it != waiting_.end();)
        (it++)->reconsider();
}

void io_thread::obey(order_batch& batch) {
    for (auto& each : batch.begun) {
        loop_.insist([&] { sockets_.insert(each); });
        each->start();
    }
    batch.begun.clear();
    bytes_view copied(batch.copied);
    std::span<output_segment> segments(batch.segments);
    for (const socket_order& order : batch.orders) {
        // One for which it fails is closed, the others are not concerned.
        const bool obeyed = loop_.attempt([&] {
            order.to->obey(order, copied.first(order.copied), segments.first(order.segments));
        });
        if (!obeyed) order.to->flush_failed();
        copied = copied.subspan(order.copied);
        segments = segments.subspan(order.segments);
        if (order.is_last)
            sockets_.erase(std::static_pointer_cast<remote_socket>(order.to->shared_from_this()));
    }
}

void io_thread::take_back(std::unique_ptr<report_batch> used) {
    under_way_ -= used->cost;
    for (const socket_report& each : used->reports) {
        if (each.kind == report_kind::input) each.from->input_done(each.size);
    }
    for (input_chunk& each : used->chunks) {
        if (free_chunks_.size() < kept_chunks) free_chunks_.push_back(std::move(each));
    }
    used->chunks.clear();
    used->reports.clear();
    used->cost = 0;
    if (spare_.size() < kept_batches) spare_.push_back(std::move(used));
}

void io_thread::stop() {
    if (std::exchange(is_stopping_, true)) return;
    const std::vector<std::shared_ptr<remote_socket>> all(sockets_.begin(), sockets_.end());
    for (const auto& each : all)
        each->finish();
    flush();
    orders_came_.stop();
}

std::span<std::uint8_t> io_thread::input_room() {
    if (!chunk_ || chunk_size - chunk_used_ < least_room) {
        if (chunk_) open_->chunks.push_back(std::move(chunk_));
        if (free_chunks_.empty()) {
            chunk_ = input_chunk(new std::uint8_t[chunk_size]);
        } else {
            chunk_ = std::move(free_chunks_.back());
            free_chunks_.pop_back();
        }
        chunk_used_ = 0;
    }
    return {chunk_.get() + chunk_used_, chunk_size - chunk_used_};
}

bool io_thread::may_read(std::size_t under_way) const noexcept {
    return under_way < bounds_.of_connection && under_way_ < bounds_.of_thread;
}

void io_thread::wait_for_leave_to_read(remote_socket& waiting) {
    if (!waiting.is_linked()) waiting_.push_back(waiting);
}

void io_thread::report(socket_report what, bool urgent) {
    const std::size_t cost = what.input_size() + report_cost;
    open_->reports.push_back(std::move(what));  // may throw: nothing has changed then
    under_way_ += cost;
    open_->cost += cost;
    is_urgent_ |= urgent;
    flush_later();
}

void io_thread::flush_failed() noexcept {
    flush_later();
}

void io_thread::flush_later() noexcept {
    if (!std::exchange(is_to_be_flushed_, true)) loop_.flush_soon(shared_from_this());
}

void io_thread::report_input(remote_client& to, remote_socket& from, bytes_view input) {
    report({&to, &from, report_kind::input, input.size(), input.data()}, true);
    chunk_used_ += input.size();
}

void io_thread::flush() {
    is_to_be_flushed_ = false;
    if (open_->reports.empty()) return;
    pool_.move_to(open_->blocks);
    auto next = next_batch(spare_);
    lanes_.reports.push(std::move(open_), false);
    open_ = std::move(next);
    // With the next one: sockets that are flushed behind us may still borrow from them.
    open_->returned.swap(in_use_);
    if (!std::exchange(is_urgent_, false)) return;
    if (!is_stopping_ && collect_()) {
        loop_.flush_behind([this] { take_orders(); });
    } else {
        lanes_.reports.wake();
    }
}

}  // namespace amqtt
