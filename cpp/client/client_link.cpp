#include "client/client_link.hpp"

#include <cerrno>
#include <memory>
#include <utility>

#include "client/client_attempt.hpp"
#include "net/tcp_stream.hpp"
#include "tls/client_tls_context.hpp"
#include "tls/tls_stream.hpp"
#include "websocket/websocket_client_stream.hpp"

namespace amqtt {
namespace {

// Connections refer to it, so it stays where it is.
void begin_anew(client_state& state) {
    std::destroy_at(&state);
    std::construct_at(&state);
}

// Reads before other clients get their turn.
constexpr int reads_per_turn = 4;

// 0 for errors that no system call has returned, such as an unknown host name or the end of a
// stream: their numbers mean something else among those of errno.
int errno_of(const error_code& error) noexcept {
    const bool has_errno = error.category() == boost::system::system_category() ||
                           error.category() == boost::system::generic_category();
    return has_errno ? error.value() : 0;
}

std::unique_ptr<stream> make_stream(stream_socket socket, const endpoint_settings& endpoint,
                                    std::span<std::uint8_t> scratch) {
    std::unique_ptr<stream> made;
    if (endpoint.tls) {
        made =
            std::make_unique<tls_stream>(std::move(socket), endpoint.tls, endpoint.host, scratch);
    } else {
        made = std::make_unique<tcp_stream>(std::move(socket));
    }
    if (endpoint.websocket) {
        made = std::make_unique<websocket_client_stream>(std::move(made), *endpoint.websocket);
    }
    return made;
}

connect_packet packet_of(const connect_settings& settings) {
    connect_packet packet;
    packet.version = settings.version;
    packet.clean_start = settings.clean_session;
    packet.keep_alive = settings.keep_alive;
    packet.client_id = settings.client_id;
    packet.props = decoded(settings.properties, property_scope::connect);
    if (settings.user_name) packet.user_name = *settings.user_name;
    if (settings.password) packet.password = as_bytes(*settings.password);
    if (settings.will) {
        will_fields will;
        will.topic = settings.will->topic;
        will.payload = as_bytes(settings.will->payload);
        will.level = settings.will->level;
        will.retain = settings.will->retain;
        will.props = decoded(settings.will->properties, property_scope::will);
        packet.will = will;
    }
    return packet;
}

}  // namespace

client_link::client_link(reactor& loop, host_resolver& resolver, block_pool& pool,
                         wake_set& watched, client_handle handle, event_sink sink,
                         std::function<bool()> is_crowded)
    : loop_(loop),
      resolver_(resolver),
      pool_(pool),
      watched_(watched),
      handle_(handle),
      sink_(std::move(sink)),
      is_crowded_(std::move(is_crowded)) {}

bool client_link::is_connected() const noexcept {
    return current_ && current_->connection && current_->connection->is_connected() &&
           !current_->closing;
}

// -- connecting

void client_link::run(const connect_command& command) {
    if (current_) close("replaced by another connect");
    if (command.settings.forget_session) begin_anew(state_);
    current_ = std::make_shared<attempt>(loop_.context(), resolver_, command);
    current_->handle = handle_;
    current_->watched = sink_;
    current_->dialer->start([self = shared_from_this(), a = current_](const error_code& error,
                                                                      const std::string& what,
                                                                      stream_socket socket) {
        self->guard(a, [&] { self->dialed(a, error, what, std::move(socket)); });
    });
}

void client_link::run(const keep_command& command) {
    const kept_state& kept = command.state;
    begin_anew(state_);
    state_.keep();
    for (const kept_message& each : kept.messages) {
        if (each.content) {
            state_.restore(each.ticket, each.packet_id, each.content);
        } else {
            state_.restore_released(each.ticket, each.packet_id, each.pubrec_code);
        }
    }
    for (const std::uint16_t packet_id : kept.received)
        state_.restore_received(packet_id);
}

void client_link::dialed(const std::shared_ptr<attempt>& a, const error_code& error,
                         const std::string& what, stream_socket socket) {
    if (error) {
        lose(errno_of(error), what + ": " + error.message());
        return;
    }
    a->transport =
        make_stream(std::move(socket), a->command.settings.endpoint, loop_.write_buffer());
    if (!open_connection(*a)) {
        lose(EMSGSIZE, "the fields of CONNECT are longer than MQTT admits");
        return;
    }
    flush_soon();
    wait_readable();
}

bool client_link::open_connection(attempt& a) {
    const connect_settings& settings = a.command.settings;
    client_options options;
    options.ping_after = std::chrono::seconds(settings.ping_after);
    options.manual_acknowledgement = settings.manual_acknowledgement;
    options.send_maximum = settings.send_maximum;
    options.qos2_maximum = settings.qos2_maximum;
    a.connection.emplace(state_, pool_, options);
    if (settings.watch_packets) a.connection->set_watcher(&a);
    return a.connection->connect(packet_of(settings), loop_.now());
}

// -- input

bool client_link::may_read() const {
    const connect_settings& settings = current_->command.settings;
    const auto is_full = [](std::size_t used, std::size_t most) {
        return most > 0 && used >= most;
    };
    return !is_full(received_messages_, settings.receive_messages) &&
           !is_full(received_bytes_, settings.receive_bytes) && !is_crowded_();
}

void client_link::wait_readable() {
    attempt& a = *current_;
    if (a.waiting_readable || a.paused) return;
    a.waiting_readable = true;
    a.transport->wait(io_status::want_read,
                      [self = shared_from_this(), a = current_](const error_code& error) {
                          a->waiting_readable = false;
                          if (!error) self->guard(a, [&] { self->on_readable(a); });
                      });
}

void client_link::on_readable(const std::shared_ptr<attempt>& a) {
    bool more = true;
    for (int i = 0; i < reads_per_turn && more; ++i) {
        a->paused = !may_read();
        if (a->paused) return;
        more = read_some(a);
    }
    if (current_ != a) return;
    a->paused = !may_read();
    if (a->paused) return;
    if (a->transport->has_input()) {
        loop_.post(
            [self = shared_from_this(), a] { self->guard(a, [&] { self->on_readable(a); }); });
        return;
    }
    wait_readable();
}

bool client_link::read_some(const std::shared_ptr<attempt>& a) {
    const auto buffer = loop_.read_buffer();
    const io_result got = a->transport->read(buffer);
    // The handshakes of TLS and WebSocket have answers of their own.
    if (a->transport->has_output() || !a->connection->output().empty()) flush_soon();
    if (got.status == io_status::want_read || got.status == io_status::want_write) return false;
    if (got.status != io_status::done) {
        lose_stream(got.error);
        return false;
    }
    if (got.size == 0) {
        lose(0, "connection closed by the server");
        return false;
    }
    a->connection->receive(buffer.first(got.size));
    process();
    return current_ == a && (got.size == buffer.size() || a->transport->has_input());
}

void client_link::resume_reading() {
    if (!current_ || !current_->paused || !may_read()) return;
    current_->paused = false;
    // TLS may hold input that the socket does not tell of.
    loop_.post([self = shared_from_this(), a = current_] {
        self->guard(a, [&] { self->on_readable(a); });
    });
}

// -- run by somebody else

bool client_link::is_quiet() const {
    if (!current_) return true;
    const attempt& a = *current_;
    // OpenSSL writes in a way that may raise SIGPIPE, which only the reactor's thread has blocked.
    return is_connected() && !a.command.settings.endpoint.tls && a.waiting_readable &&
           !a.waiting_writable && !a.paused && !a.transport->has_input();
}

bool client_link::watch() {
    return !current_ || watched_.add(current_->transport->socket().native_handle());
}

void client_link::read_now() {
    if (const std::shared_ptr<attempt> a = current_; a && a->waiting_readable) on_readable(a);
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
    if (!a->transport || a->waiting_writable) return;
    const io_result sent = write_queue(*a->transport, a->connection->output());
    if (sent.status == io_status::failed || sent.status == io_status::ended) {
        lose_stream(sent.error);
    } else if (sent.status == io_status::want_write) {
        a->waiting_writable = true;
        a->transport->wait(sent.status, [self = shared_from_this(), a](const error_code& failure) {
            a->waiting_writable = false;
            if (!failure) self->guard(a, [&] { self->flush(); });
        });
    } else if (sent.status == io_status::done && a->closing) {
        close("disconnected");
    }  // after want_read the reader flushes
    if (current_ == a) complete_unsent();
}

void client_link::advance() {
    if (!current_ || !current_->connection) return;
    if (!current_->connection->advance(loop_.now(), !current_->paused)) {
        lose(0, "the server does not answer PINGREQ");
        return;
    }
    if (!current_->connection->output().empty()) flush_soon();
}

// -- the end

void client_link::give_up() noexcept {
    if (!current_ || loop_.attempt([this] { lose(ENOMEM, "the client could not go on"); })) return;
    // Nobody could be told; who waits for an answer has a time limit.
    if (const std::shared_ptr<attempt> a = std::exchange(current_, nullptr)) {
        loop_.attempt([&] { a->dialer->cancel(); });
        loop_.attempt([&] { a->timer.cancel(); });
        if (!a->transport) return;
        watched_.remove(a->transport->socket().native_handle());
        a->transport->close();
    }
}

void client_link::lose_stream(const error_code& error) {
    const std::string problem = current_->transport->problem();
    if (!problem.empty()) {
        lose(0, problem);
    } else {
        lose(errno_of(error), error ? error.message() : "connection closed by the server");
    }
}

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
    a->dialer->cancel();
    a->timer.cancel();
    if (a->transport) {
        watched_.remove(a->transport->socket().native_handle());
        (void)a->transport->shutdown_send();
        a->transport->close();
    }
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

void client_link::complete(std::uint64_t ticket) {
    if (ticket == 0) return;  // nobody waits
    sink_({handle_, completion_event{ticket, 0, reason_code::success, {}}});
}

void client_link::fail(std::uint64_t ticket, int error, std::string text) {
    if (ticket == 0) return;  // nobody waits
    sink_({handle_, failure_event{ticket, error, std::move(text)}});
}

}  // namespace amqtt
