// Enhanced authentication (section 4.12 of 5.0): of clients that connect, and again later.
#include <memory>
#include <string_view>

#include "broker/broker.hpp"
#include "broker/log_kinds.hpp"

namespace amqtt {

void broker::handle(client& c, const auth_packet& packet) {
    const auto& method = c.request->authentication_method();
    if (!method) {
        handle(c, protocol_error("AUTH without an Authentication Method in CONNECT"));
        return;
    }
    if (packet.props.text(property_id::authentication_method) != *method) {
        handle(c, protocol_error("AUTH without the Authentication Method of CONNECT"));
        return;
    }
    const bool answers = c.exchange && c.exchange->awaits_client;
    const bool starts = !c.exchange && c.phase == client_phase::connected;
    const reason_code expected =
        starts ? reason_code::reauthenticate : reason_code::continue_authentication;
    if (!(answers || starts) || packet.code != expected) {
        handle(c, protocol_error("AUTH that is not its turn, or with the wrong Reason Code"));
        return;
    }
    if (starts) start_exchange(c);
    take_step(c, {*method, packet.props.binary(property_id::authentication_data), starts,
                  c.phase == client_phase::connected});
}

void broker::start_exchange(client& c) {
    c.exchange = std::make_unique<authentication_exchange>();
    c.exchange->ticket = ++last_ticket_;
    if (c.phase != client_phase::connected) c.ticket = last_ticket_;
    when_due<&broker::exchange_timed_out>(c.exchange->deadline, c);
    decisions_.emplace(c.exchange->ticket, &c);
}

template <auto Otherwise>
void broker::wait_for_exchange(client& c, duration limit) {
    if (c.phase == client_phase::connected) {
        timers_.set(c.exchange->deadline, now_ + limit);
    } else {
        when_due<Otherwise>(c.idle, c);
        timers_.set(c.idle, now_ + limit);
    }
}

void broker::take_step(client& c, const authentication_step& step) {
    c.exchange->awaits_client = false;
    if (!step.is_repeated) c.phase = client_phase::deciding;
    take_reply(c, hooks_.authenticate(c, step, c.exchange->ticket));
}

void broker::reply(std::uint64_t ticket, const authentication_reply& answer, instant now) {
    begin(now);
    const auto it = decisions_.find(ticket);
    if (it == decisions_.end()) return;
    client& c = *it->second;
    if (!c.exchange || c.exchange->awaits_client) return;
    shielded(c, [&] {
        take_reply(c, answer);
        go_on(c);
    });
}

void broker::take_reply(client& c, const authentication_reply& answer) {
    const bool connected = c.phase == client_phase::connected;
    properties props;
    props.add(property_id::authentication_method,
              std::string_view(*c.request->authentication_method()));
    if (!answer.data.empty()) {
        props.add(property_id::authentication_data, as_bytes(answer.data));
    }
    switch (answer.outcome) {
        case authentication_outcome::pending:
            wait_for_exchange<&broker::decision_timed_out>(c, settings_.decision_timeout);
            return;
        case authentication_outcome::challenge:
            if (c.connection.send_auth(reason_code::continue_authentication, props)) {
                c.exchange->awaits_client = true;
                if (!connected) c.phase = client_phase::authenticating;
                wait_for_exchange<&broker::connect_timed_out>(c, c.limits.connect_timeout);
                outbox::request_flush(c);
                return;
            }
            break;
        case authentication_outcome::accepted:
            end_exchange(c);
            if (connected && answer.user_name && !change_user(c, *answer.user_name)) return;
            if (answer.user_name) c.request->set_user_name(*answer.user_name);
            if (!connected) {
                c.request->set_authentication_data(answer.data);
                admit(c);
                return;
            }
            if (c.connection.send_auth(reason_code::success, props)) {
                outbox::request_flush(c);
                return;
            }
            break;
        case authentication_outcome::refused: {
            end_exchange(c);
            const reason_code code =
                is_failure(answer.code) ? answer.code : reason_code::not_authorized;
            if (connected) {
                log(log_kinds::connection_closed, c,
                    "closed: it could not authenticate itself again");
                disconnect(c, code, "authentication failed", answer.reason);
            } else {
                refuse(c, code, "authentication failed", answer.reason);
            }
            return;
        }
    }
    // What authentication wants to tell it is larger than the client accepts.
    end_exchange(c);
    handle(c, protocol_violation{reason_code::packet_too_large,
                                 "its Maximum Packet Size has no room for AUTH"});
}

// A client that authenticates itself again does not leave its session to another user, whose rights
// were not asked for when it subscribed. False: it was disconnected.
bool broker::change_user(client& c, const std::string& name) {
    session& s = *c.state;
    if (s.user_name == name) return true;
    if (!belongs_to(s, name)) {
        log_other_user(s, name);
        disconnect(c, reason_code::not_authorized, "its session is another user's");
        return false;
    }
    s.user_name = name;
    session_changed(s);
    hooks_.user_changed(s);
    return true;
}

void broker::end_exchange(client& c) {
    if (!c.exchange) return;
    const std::uint64_t ticket = c.exchange->ticket;
    decisions_.erase(ticket);
    c.exchange.reset();
    hooks_.authentication_ended(ticket);
}

void broker::exchange_timed_out(client& c) {
    end_exchange(c);
    log(log_kinds::connection_closed, c, "closed: it did not authenticate itself again in time");
    disconnect(c, reason_code::not_authorized, "re-authentication took too long");
}

}  // namespace amqtt
