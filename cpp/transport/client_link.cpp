#include "transport/client_link.hpp"

#include <cerrno>
#include <type_traits>
#include <utility>

namespace amqtt {
namespace {

// Reads before other clients get their turn.
constexpr int reads_per_turn = 4;
// How long DISCONNECT may take to leave.
constexpr auto disconnect_time = std::chrono::seconds(2);

// Above this much unsent output a publish at QoS 0 is not complete yet.
constexpr std::size_t output_high_water = 1024 * 1024;

constexpr const char* not_connected = "not connected";

connect_packet packet_of(const connect_settings& settings) {
    connect_packet packet;
    packet.clean_start = settings.clean_session;
    packet.keep_alive = settings.keep_alive;
    packet.client_id = settings.client_id;
    if (settings.user_name) packet.user_name = *settings.user_name;
    if (settings.password) packet.password = as_bytes(*settings.password);
    if (settings.will) {
        will_fields will;
        will.topic = settings.will->topic;
        will.payload = as_bytes(settings.will->payload);
        will.level = settings.will->level;
        will.retain = settings.will->retain;
        packet.will = will;
    }
    return packet;
}

}  // namespace

struct client_link::attempt {
    attempt(asio::io_context& context, connect_command what)
        : command(std::move(what)), resolver(context), socket(context), timer(context) {}

    connect_command command;
    bool answered = false;  // the connect command
    tcp::resolver resolver;
    tcp::socket socket;  // while connecting
    asio::steady_timer timer;
    std::optional<tcp_stream> stream;  // once connected
    std::optional<client_connection> connection;
    std::optional<std::uint64_t> closing;  // ticket of the disconnect command
    std::vector<std::uint64_t> unsent;     // tickets of publishes at QoS 0
    bool waiting_readable = false;
    bool waiting_writable = false;
    bool flush_requested = false;
    bool paused = false;
};

client_link::client_link(reactor& loop, block_pool& pool, client_handle handle, event_sink sink,
                         std::function<bool()> is_crowded)
    : loop_(loop),
      pool_(pool),
      handle_(handle),
      sink_(std::move(sink)),
      is_crowded_(std::move(is_crowded)) {}

bool client_link::is_connected() const noexcept {
    return current_ && current_->connection && current_->connection->is_connected() &&
           !current_->closing;
}

bool client_link::require_connection(std::uint64_t ticket) {
    if (is_connected()) return true;
    fail(ticket, 0, not_connected);
    return false;
}

// -- connecting

void client_link::run(const connect_command& command) {
    if (current_) close("replaced by another connect");
    current_ = std::make_shared<attempt>(loop_.context(), command);
    const auto& settings = current_->command.settings;
    current_->resolver.async_resolve(
        settings.host, std::to_string(settings.port),
        [self = shared_from_this(), a = current_](const error_code& error,
                                                  const tcp::resolver::results_type& found) {
            if (self->current_ == a) self->resolved(a, error, found);
        });
}

void client_link::resolved(const std::shared_ptr<attempt>& a, const error_code& error,
                           const tcp::resolver::results_type& found) {
    if (error) {
        lose(error.value(),
             "cannot resolve '" + a->command.settings.host + "': " + error.message());
        return;
    }
    asio::async_connect(
        a->socket, found,
        [self = shared_from_this(), a](const error_code& failure, const tcp::endpoint&) {
            if (self->current_ == a) self->transport_connected(a, failure);
        });
}

void client_link::transport_connected(const std::shared_ptr<attempt>& a, const error_code& error) {
    const connect_settings& settings = a->command.settings;
    if (error) {
        lose(error.value(), "cannot connect to " + settings.host + ":" +
                                std::to_string(settings.port) + ": " + error.message());
        return;
    }
    a->stream.emplace(std::move(a->socket));
    client_timing timing;
    timing.ping_after = std::chrono::seconds(settings.ping_after);
    a->connection.emplace(state_, pool_, timing);
    a->connection->connect(packet_of(settings), loop_.now());
    flush_soon();
    wait_readable();
}

// -- commands on a connection

void client_link::run(const client_publish_command& command) {
    if (!require_connection(command.ticket)) return;
    const auto sent = current_->connection->publish(command.ticket, command.content, loop_.now());
    if (!sent) {
        fail(command.ticket, ENOBUFS, sent.error().what);
    } else if (*sent && command.ticket != 0) {
        current_->unsent.push_back(command.ticket);
        complete_unsent();
    }
    flush_soon();
}

void client_link::complete_unsent() {
    if (current_->connection->output().size() > output_high_water) return;
    for (const std::uint64_t ticket : current_->unsent)
        complete(ticket);
    current_->unsent.clear();
}

void client_link::run(const subscribe_command& command) {
    if (!require_connection(command.ticket)) return;
    const auto sent = current_->connection->subscribe(command.ticket, command.filters, loop_.now());
    if (!sent) fail(command.ticket, ENOBUFS, sent.error().what);
    flush_soon();
}

void client_link::run(const unsubscribe_command& command) {
    if (!require_connection(command.ticket)) return;
    const auto sent =
        current_->connection->unsubscribe(command.ticket, command.filters, loop_.now());
    if (!sent) fail(command.ticket, ENOBUFS, sent.error().what);
    flush_soon();
}

void client_link::run(const ping_command& command) {
    if (!require_connection(command.ticket)) return;
    current_->connection->ping(command.ticket, loop_.now());
    flush_soon();
}

void client_link::run(const disconnect_command& command) {
    if (!is_connected()) {
        run(abort_command{command.ticket});
        return;
    }
    current_->connection->disconnect();
    current_->closing = command.ticket;
    current_->timer.expires_after(disconnect_time);
    current_->timer.async_wait([self = shared_from_this(), a = current_](const error_code& error) {
        if (!error && self->current_ == a) self->close("disconnected");
    });
    flush_soon();
}

void client_link::run(const abort_command& command) {
    if (current_) close("connection closed by the client");
    complete(command.ticket);
}

void client_link::run(const cancel_command& command) {
    if (current_ && !current_->answered && current_->command.ticket == command.ticket) {
        current_->answered = true;  // nobody waits for it
        close("connect was cancelled");
        return;
    }
    std::uint16_t packet_id = 0;
    state_.inflight.for_each([&](const inflight_entry& entry) {
        if (entry.ticket == command.ticket) packet_id = entry.packet_id;
    });
    if (packet_id != 0) state_.inflight.remove(packet_id);
}

void client_link::run(const forget_command&) {
    if (current_) close("the client is gone");
}

// -- input

void client_link::wait_readable() {
    attempt& a = *current_;
    if (a.waiting_readable || a.paused) return;
    a.waiting_readable = true;
    a.stream->wait(io_status::want_read,
                   [self = shared_from_this(), a = current_](const error_code& error) {
                       a->waiting_readable = false;
                       if (!error && self->current_ == a) self->on_readable(a);
                   });
}

void client_link::on_readable(const std::shared_ptr<attempt>& a) {
    for (int i = 0; i < reads_per_turn; ++i) {
        const auto buffer = loop_.read_buffer();
        const io_result got = a->stream->read(buffer);
        if (got.status == io_status::want_read) break;
        if (got.status == io_status::failed) {
            lose(got.error.value(), got.error.message());
            return;
        }
        if (got.size == 0) {
            lose(0, "connection closed by the server");
            return;
        }
        a->connection->receive(buffer.first(got.size));
        process();
        if (current_ != a) return;
        if (got.size < buffer.size()) break;
    }
    a->paused = is_crowded_();
    wait_readable();
}

void client_link::resume_reading() {
    if (!current_ || !current_->paused) return;
    current_->paused = false;
    wait_readable();
}

void client_link::process() {
    const std::shared_ptr<attempt> a = current_;
    while (current_ == a) {
        const client_action action = a->connection->next(loop_.now());
        if (std::holds_alternative<client_need_input>(action)) break;
        if (const auto* violation = std::get_if<protocol_violation>(&action)) {
            lose(0, std::string("the server violated the protocol: ") + violation->what);
            return;
        }
        std::visit(
            [this](const auto& what) {
                using type = std::decay_t<decltype(what)>;
                if constexpr (!std::is_same_v<type, client_need_input> &&
                              !std::is_same_v<type, protocol_violation>) {
                    perform(what);
                }
            },
            action);
    }
    if (current_ == a && !a->connection->output().empty()) flush_soon();
}

void client_link::perform(const client_connack& action) {
    attempt& a = *current_;
    a.answered = true;
    sink_({handle_, connack_event{a.command.ticket, action.return_code, action.session_present}});
    if (action.return_code != 0) close("connection refused");
}

void client_link::perform(const client_completed& action) {
    complete(action.ticket, action.packet_id);
}

void client_link::perform(const client_subscribed& action) {
    sink_({handle_, suback_event{action.ticket, action.codes}});
}

void client_link::perform(const publish_packet& packet) {
    sink_({handle_,
           message_event{message::create(packet.topic, packet.payload, packet.level, packet.retain),
                         packet.packet_id, packet.dup}});
}

// -- output and time

void client_link::flush_soon() {
    if (!current_ || std::exchange(current_->flush_requested, true)) return;
    loop_.flush_soon(shared_from_this());
}

void client_link::flush() {
    const std::shared_ptr<attempt> a = current_;
    if (!a) return;
    a->flush_requested = false;
    if (!a->stream || a->waiting_writable) return;
    const io_result sent = write_queue(*a->stream, a->connection->output());
    if (sent.status == io_status::failed) {
        lose(sent.error.value(), sent.error.message());
    } else if (sent.status != io_status::done) {
        a->waiting_writable = true;
        a->stream->wait(sent.status, [self = shared_from_this(), a](const error_code& failure) {
            a->waiting_writable = false;
            if (!failure && self->current_ == a) self->flush();
        });
    } else if (a->closing) {
        close("disconnected");
    }
    if (current_ == a) complete_unsent();
}

void client_link::advance() {
    if (!current_ || !current_->connection) return;
    if (!current_->connection->advance(loop_.now())) {
        lose(0, "the server does not answer PINGREQ");
        return;
    }
    if (!current_->connection->output().empty()) flush_soon();
}

// -- the end

void client_link::lose(int error, const std::string& text) {
    attempt& a = *current_;
    const bool asked_for = a.closing.has_value();
    const bool was_connecting = !std::exchange(a.answered, true);
    if (was_connecting) fail(a.command.ticket, error, text);
    close(text);
    if (!was_connecting && !asked_for) sink_({handle_, connection_lost_event{text}});
}

void client_link::close(const std::string& text) {
    const std::shared_ptr<attempt> a = std::exchange(current_, nullptr);
    a->resolver.cancel();
    a->timer.cancel();
    error_code ignored;  // nothing could be done about it
    a->socket.close(ignored);
    if (a->stream) a->stream->close();
    if (!a->answered) fail(a->command.ticket, 0, text);
    for (const std::uint64_t ticket : a->unsent)
        fail(ticket, 0, text);
    if (a->connection) {
        for (const std::uint64_t ticket : a->connection->pings())
            fail(ticket, 0, text);
    }
    for (const auto& [packet_id, ticket] : state_.requests)
        fail(ticket, 0, text);
    state_.requests.clear();
    if (a->closing) complete(*a->closing);
}

void client_link::complete(std::uint64_t ticket, std::uint16_t packet_id) {
    if (ticket == 0) return;  // nobody waits
    sink_({handle_, completion_event{ticket, packet_id}});
}

void client_link::fail(std::uint64_t ticket, int error, std::string text) {
    if (ticket == 0) return;  // nobody waits
    sink_({handle_, failure_event{ticket, error, std::move(text)}});
}

}  // namespace amqtt
