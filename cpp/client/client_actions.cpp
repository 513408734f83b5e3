// What client_link does with the commands of Python and the packets of the server.
#include <algorithm>
#include <cerrno>
#include <string_view>
#include <type_traits>
#include <utility>

#include "client/client_attempt.hpp"
#include "client/client_link.hpp"

namespace amqtt {
namespace {

// How long DISCONNECT may take to leave.
constexpr auto disconnect_time = std::chrono::seconds(2);

// Above this much unsent output a publish at QoS 0 is not complete yet.
constexpr std::size_t output_high_water = 1024 * 1024;

// Those of a packet, which have their place in one.
encoded_properties encoded(const properties& props) {
    encoded_properties out;
    if (!props.empty()) (void)props.encode(out);
    return out;
}

// Without the Topic Alias, which is the connection's business.
encoded_properties of_message(const properties& props) {
    if (props.empty()) return {};
    if (!props.contains(property_id::topic_alias)) return encoded(props);
    properties rest;
    for (const property& p : props.all()) {
        if (p.id == property_id::topic_alias) continue;
        if (const auto* pair = std::get_if<user_property>(&p.value)) {
            rest.add(pair->name, pair->value);
        } else if (const auto* number = std::get_if<std::uint32_t>(&p.value)) {
            rest.add(p.id, *number);
        } else if (const auto* text = std::get_if<std::string_view>(&p.value)) {
            rest.add(p.id, *text);
        } else {
            rest.add(p.id, std::get<bytes_view>(p.value));
        }
    }
    return encoded(rest);
}

}  // namespace

bool client_link::require_connection(std::uint64_t ticket) {
    if (is_connected()) return true;
    fail(ticket, 0, "not connected");
    return false;
}

void client_link::refuse(std::uint64_t ticket, const protocol_violation& problem) {
    fail(ticket, problem.code == reason_code::quota_exceeded ? ENOBUFS : EMSGSIZE, problem.what);
}

// -- commands

void client_link::run(const client_publish_command& command) {
    if (!is_connected() && put_aside(command)) return;
    if (!require_connection(command.ticket)) return;
    const auto sent = current_->connection->publish(command.ticket, command.content, loop_.now());
    tell_changes();
    if (!sent) {
        refuse(command.ticket, sent.error());
    } else if (*sent && command.ticket != 0) {
        current_->unsent.push_back(command.ticket);
        complete_unsent();
    }
    flush_soon();
}

bool client_link::put_aside(const client_publish_command& command) {
    if (!state_.is_kept() || command.content->level() == qos::at_most_once) return false;
    const std::uint16_t packet_id = state_.next_packet_id();
    if (packet_id == 0) {
        fail(command.ticket, ENOBUFS, "no free packet identifier");
    } else {
        state_.add(command.ticket, packet_id, command.content);
        tell_changes();
    }
    return true;
}

void client_link::tell_changes() {
    if (!state_.has_changes()) return;
    for (client_state_change& change : state_.take_changes())
        sink_({handle_, client_state_event{std::move(change)}});
}

void client_link::complete_unsent() {
    if (current_->unsent.empty()) return;
    if (current_->connection->output_size() > output_high_water) return;
    for (const std::uint64_t ticket : current_->unsent)
        complete(ticket);
    current_->unsent.clear();
}

void client_link::run(const subscribe_command& command) {
    if (!require_connection(command.ticket)) return;
    subscribe_packet packet;
    for (const auto& [filter, options] : command.filters)
        packet.requests.push_back({filter, options});
    packet.props = decoded(command.properties, property_scope::subscribe);
    const auto sent = current_->connection->subscribe(command.ticket, packet, loop_.now());
    if (!sent) refuse(command.ticket, sent.error());
    flush_soon();
}

void client_link::run(const unsubscribe_command& command) {
    if (!require_connection(command.ticket)) return;
    unsubscribe_packet packet;
    packet.filters.assign(command.filters.begin(), command.filters.end());
    packet.props = decoded(command.properties, property_scope::unsubscribe);
    const auto sent = current_->connection->unsubscribe(command.ticket, packet, loop_.now());
    if (!sent) refuse(command.ticket, sent.error());
    flush_soon();
}

void client_link::run(const ping_command& command) {
    if (!require_connection(command.ticket)) return;
    current_->connection->ping(command.ticket, loop_.now());
    flush_soon();
}

// Also before CONNACK, while the server asks.
void client_link::run(const authenticate_command& command) {
    if (!current_ || !current_->connection || current_->closing) return;
    const auth_packet packet{command.code, decoded(command.properties, property_scope::auth)};
    if (!current_->connection->authenticate(packet, loop_.now())) {
        lose(EMSGSIZE, "AUTH exceeds the server's Maximum Packet Size");
        return;
    }
    flush_soon();
}

void client_link::run(const acknowledge_command& command) {
    if (!is_connected() || current_->command.ticket != command.connection) return;
    current_->connection->acknowledge(command.packet_id, command.code, loop_.now());
    tell_changes();
    flush_soon();
}

void client_link::run(const stored_command& command) {
    state_.stored(command.number);
    if (current_ && current_->connection && current_->connection->stored(command.number)) {
        flush_soon();
    }
}

void client_link::run(const consumed_command& command) {
    received_messages_ -= std::min(received_messages_, command.messages);
    received_bytes_ -= std::min(received_bytes_, command.bytes);
    resume_reading();
}

void client_link::run(const disconnect_command& command) {
    if (!is_connected()) {
        run(abort_command{command.ticket});
        return;
    }
    current_->connection->disconnect(
        {command.code, decoded(command.properties, property_scope::disconnect)});
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
    } else if (state_.is_kept()) {
        return;  // what is kept is sent, whoever waits for it
    } else if (current_ && current_->connection) {
        current_->connection->abandon(command.ticket);
    } else {
        state_.inflight.for_each([&](inflight_entry& entry) {
            if (entry.ticket == command.ticket) entry.ticket = 0;
        });
    }
}

void client_link::run(const forget_command&) {
    if (current_) close("the client is gone");
}

// -- what the server did

void client_link::process() {
    const std::shared_ptr<attempt> a = current_;
    while (current_ == a) {
        const client_action action = a->connection->next(loop_.now());
        tell_changes();
        if (std::holds_alternative<client_need_input>(action)) break;
        std::visit(
            [this](const auto& what) {
                using type = std::decay_t<decltype(what)>;
                if constexpr (!std::is_same_v<type, client_need_input>) perform(what);
            },
            action);
    }
    if (current_ == a && !a->connection->output().empty()) flush_soon();
}

void client_link::perform(const client_connack& action) {
    attempt& a = *current_;
    a.answered = true;
    sink_({handle_, connack_event{a.command.ticket, action.return_code, action.session_present,
                                  encoded(action.props)}});
    if (action.return_code != 0) close("connection refused");
}

void client_link::perform(const client_completed& action) {
    if (action.ticket == 0) return;  // nobody waits
    sink_({handle_,
           completion_event{action.ticket, action.packet_id, action.code, encoded(action.props)}});
}

void client_link::perform(const client_subscribed& action) {
    sink_({handle_, suback_event{action.ticket, action.codes, encoded(action.props)}});
}

void client_link::perform(const client_refused& action) {
    refuse(action.ticket, action.problem);
}

void client_link::perform(const auth_packet& packet) {
    sink_({handle_, auth_event{packet.code, encoded(packet.props)}});
}

void client_link::perform(const disconnect_packet& packet) {
    sink_({handle_, server_disconnect_event{packet.code, encoded(packet.props)}});
    const std::string_view reason = packet.props.text(property_id::reason_string);
    std::string text =
        "disconnected by the server, reason code " + std::to_string(to_byte(packet.code));
    if (!reason.empty()) text.append(": ").append(reason);
    lose(0, text);
}

void client_link::perform(const publish_packet& packet) {
    auto content = message::create(packet.topic, packet.payload, packet.level, packet.retain,
                                   of_message(packet.props));
    ++received_messages_;
    received_bytes_ += content->size();
    sink_({handle_, message_event{std::move(content), packet.packet_id}});
}

// (5.0: section 4.13)
void client_link::perform(const protocol_violation& violation) {
    attempt& a = *current_;
    if (a.connection->is_connected() && has_properties(a.connection->version())) {
        a.connection->disconnect({violation.code, {}});
        (void)write_queue(*a.transport, a.connection->output());
    }
    lose(0, std::string("the server violated the protocol: ") + violation.what);
}

}  // namespace amqtt
