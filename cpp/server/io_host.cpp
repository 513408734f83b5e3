#include "server/io_host.hpp"

#include <algorithm>
#include <utility>

namespace amqtt {
namespace {

constexpr std::size_t kept_batches = 4;
constexpr std::size_t kept_size = 1024 * 1024;
constexpr std::size_t copied_output_max = 4096;
// The core is told at once of as much sent output of a connection, and a thread of as much input
// that was dealt with. Less than the bounds that may be waited for.
constexpr std::size_t urgent_size = 64 * 1024;

}  // namespace

// -- one client

remote_client::remote_client(io_host& host, const broker_context& home, listener& of,
                             peer_info peer)
    : client_endpoint(home, of, std::move(peer)), host_(host) {}

void remote_client::wants_something() {
    if (is_noted) return;
    if (closed_for_) {
        host_.attend_later(*this);
    } else {
        host_.note(*this);
    }
    is_noted = true;
}

void remote_client::resume_reading() {
    if (closed_for_) {
        is_done_ = true;
        wants_something();
    } else {
        set_reading(true);
    }
}

void remote_client::close_soon(reason_code reason) {
    is_done_ = true;
    if (close_reason_) return;
    close_reason_ = reason;
    wants_something();
}

bool remote_client::catch_up() {
    catches_up_ = true;
    wants_something();
    return true;
}

void remote_client::give_key(bytes_view key) {
    key_ = std::make_unique<std::string>(as_text(key));
    wants_something();
}

void remote_client::set_reading(bool wanted) {
    if (reading_ == wanted) return;
    reading_ = wanted;
    closes_ |= wanted && peer_left_;
    wants_something();
}

void remote_client::take(socket_report& report) {
    static const std::string nothing;
    if (is_broken_ && report.kind != report_kind::closed) return;
    switch (report.kind) {
        case report_kind::input:
            set_reading(received({report.data, report.size}));
            break;
        case report_kind::caught_up:
            if (!closes_) has_caught_up();  // else closed() is next
            break;
        case report_kind::written:
            gate().arrived(report.size);
            sent(report.size);
            break;
        case report_kind::peer:
            found_peer(std::move(report.details->text), report.details->port);
            break;
        case report_kind::tls:
            found_tls(std::move(report.details->tls));
            break;
        case report_kind::key:
            wants_key(report.details->text);
            break;
        case report_kind::ended:
            if (!has_input_left()) ended();  // else the socket is closed soon
            break;
        case report_kind::left:
            // What has come before may have to wait.
            peer_left_ = true;
            closes_ = reading_;
            if (closes_) wants_something();
            break;
        case report_kind::closed:
            home_loop().insist([this] { closed_for_ = std::make_unique<std::string>(); });
            if (report.details) *closed_for_ = std::move(report.details->text);
            gate().all_arrived();
            is_done_ |= !has_input_left();
            attend();
            break;
    }
}

void remote_client::give_order(order_batch& to) {
    if (closed_for_) {
        is_noted = false;
        wants_something();
        return;
    }
    to.orders.emplace_back(socket_order{socket});  // all that throws comes first
    socket_order& order = to.orders.back();
    output_queue& out = ready_output();
    const std::size_t size = out.size();
    try {
        if (size <= copied_output_max) {
            out.copy_out(to.copied);
            order.copied = static_cast<std::uint32_t>(size);
        } else {
            order.segments = static_cast<std::uint32_t>(out.hand_over(to.segments));
        }
    } catch (...) {
        to.orders.pop_back();
        throw;
    }
    is_noted = false;
    gate().handed_over(size);
    if (std::exchange(told_reading_, reading_) != reading_) {
        order.reading = reading_ ? reading_order::go_on : reading_order::stop;
    }
    order.catches_up = std::exchange(catches_up_, false);
    order.key = std::move(key_);
    if (close_reason_) {
        order.closes_after_output = true;
        order.reason = *close_reason_;
    }
    order.closes = closes_;
}

// What a peer has sent before it closed the connection counts, so the broker is told of that when
// it has dealt with it.
void remote_client::attend() {
    output_queue& out = ready_output();
    const std::size_t size = out.size();
    out.clear();
    if (is_done_) {
        closed(*closed_for_);
        host_.forget(*this);
    } else if (size > 0) {
        sent(size);
    }
}

// -- all of a thread

io_host::io_host(const broker_context& home, const input_bounds& bounds)
    : home_(home),
      bounds_(bounds),
      reports_came_(home.loop, [this] { collect(); }),
      lanes_{batch_channel<report_batch>([this] { reports_came_.ring(); }),
             batch_channel<order_batch>([this] { thread_->wake(); })},
      thread_(std::make_shared<io_thread>(
          lanes_, bounds_, std::min(urgent_size, home.core.settings().output_high_water / 4),
          [this] { return collect_here(); })),
      open_(std::make_unique<order_batch>()) {}

io_host::~io_host() {
    clients_.clear_and_dispose([](remote_client* each) { delete each; });
}

void io_host::serve(listener& of, std::unique_ptr<stream> peer_stream, peer_info peer,
                    bool behind_proxy) {
    auto made = std::make_unique<remote_client>(*this, home_, of, std::move(peer));
    noted_.reserve(std::max(noted_.capacity(), size_ + 1));
    auto begun =
        std::make_shared<remote_socket>(*thread_, *made, std::move(peer_stream), behind_proxy);
    made->socket = begun.get();
    open_->begun.push_back(std::move(begun));
    clients_.push_back(*made.release());
    ++size_;
    flush_later();
}

void io_host::note(remote_client& wanting) {
    noted_.push_back(&wanting);
    flush_later();
}

void io_host::attend_later(remote_client& wanting) {
    home_.loop.insist([&] { to_attend_.push_back(&wanting); });
    if (to_attend_.size() > 1) return;
    home_.loop.insist(
        [&] { home_.loop.post([self = shared_from_this()] { self->attend_to_waiting(); }); });
}

void io_host::attend_to_waiting() {
    for (remote_client* const each : std::exchange(to_attend_, {})) {
        each->is_noted = false;
        each->attend();
    }
}

void io_host::forget(remote_client& gone) {
    if (gone.is_noted) {
        std::erase(noted_, &gone);
        std::erase(to_attend_, &gone);
    }
    home_.loop.insist([&] {  // else the socket would never go
        socket_order last{gone.socket};
        last.is_last = true;
        open_->orders.push_back(std::move(last));
    });
    --size_;
    delete &gone;
    flush_later();
}

void io_host::flush_later() {
    if (!std::exchange(is_to_be_flushed_, true)) home_.loop.flush_soon(shared_from_this());
}

lane_counts io_host::exchanged() const {
    lane_counts both = lanes_.reports.counts();
    return both += lanes_.orders.counts();
}

void io_host::collect() {
    lanes_.reports.take(taken_);
    for (auto& batch : taken_) {
        batch->blocks.move_to(home_.core.output_blocks());
        for (auto& used : batch->returned) {
            if (spare_.size() >= kept_batches || used->copied.capacity() > kept_size) continue;
            used->orders.clear();
            used->copied.clear();
            used->segments.clear();
            spare_.push_back(std::move(used));
        }
        batch->returned.clear();
        for (socket_report& each : batch->reports)
            deal_with(each);
        returned_cost_ += batch->cost;
        home_.loop.insist([&] {
            open_->returned.push_back(nullptr);
            open_->returned.back() = std::move(batch);
        });
        flush_later();
    }
    // Where that has failed before.
    if (!noted_.empty() || !open_->orders.empty() || !open_->begun.empty() || open_->stops) {
        flush_later();
    }
}

// What a client's input leads to may throw: then its connection is closed.
void io_host::deal_with(socket_report& report) {
    if (home_.loop.attempt([&] { report.to->take(report); })) return;
    if (report.kind == report_kind::closed) return;  // all that matters was done
    report.to->close_at_once();
}

bool io_host::collect_here() {
    return home_.loop.try_turn([this] { collect(); });
}

void io_host::flush() {
    is_to_be_flushed_ = false;
    while (!noted_.empty()) {
        noted_.back()->give_order(*open_);
        noted_.pop_back();
    }
    const bool urgent = !open_->orders.empty() || !open_->begun.empty() || open_->stops ||
                        returned_cost_ >= urgent_size;
    if (!urgent && open_->returned.empty()) return;
    if (urgent) returned_cost_ = 0;
    // The thread itself takes them as soon as it has let the core go.
    const bool wakes = urgent && !thread_->loop().is_here();
    auto next = next_batch(spare_);
    lanes_.orders.push(std::move(open_), wakes);
    open_ = std::move(next);
}

void io_host::stop() {
    open_->stops = true;
    flush_later();
}

bool io_host::is_all_sent() const noexcept {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const remote_client& each) { return each.has_sent_all(); });
}

void io_host::start_thread() {
    reports_came_.listen();
    thread_->start();
}

void io_host::end() {
    collect();
    reports_came_.stop();
}

void io_host::abandon_thread() {
    thread_->abandon();
    thread_->join();
}

}  // namespace amqtt
