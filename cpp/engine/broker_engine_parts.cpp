// What a broker's engine does on its thread.
#include "engine/broker_engine_parts.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "net/tcp_stream.hpp"

namespace amqtt {
namespace {

constexpr auto file_check_interval = std::chrono::seconds(1);
// While the engine stops: between two looks at what is left to be sent.
constexpr auto drain_interval = std::chrono::milliseconds(10);
// How long a client that was sent everything may take to close its side, which saves it a reset.
constexpr auto stop_linger = std::chrono::milliseconds(50);
// Of TLS, WebSocket and the PROXY protocol.
constexpr log_kind below_mqtt{log_level::info, "connections that failed below MQTT"};
// What Python takes to look for a pre-shared key.
constexpr std::size_t key_cost = 2048;
// Out of memory, most of all.
constexpr log_kind failed_step{log_level::error, "failures of the engine", 1};

}  // namespace

void broker_engine::parts::start_on_thread() {
    for (const auto& each : listeners) {
        each->start(
            [this]() -> connection_host& { return least_busy(); },
            [this](std::uint64_t number) { return door_of(number); },
            [this, from = each.get()](connection_host& host, std::unique_ptr<stream> peer_stream,
                                      const bound_address& peer) {
                accept(host, *from, std::move(peer_stream), peer);
            },
            [this](log_level level, const std::string& text) { policy.log(level, text); },
            core.peer_log());
    }
    next_tick();
    if (has_tls()) next_file_check();
}

bool broker_engine::parts::has_tls() const {
    return std::any_of(listeners.begin(), listeners.end(),
                       [](const auto& each) { return each->has_tls(); });
}

void broker_engine::parts::next_file_check() {
    file_check.expires_after(file_check_interval);
    file_check.async_wait(loop.handler([this](const error_code& cancelled) {
        if (cancelled || stopping) return;
        for (const auto& each : listeners) {
            if (each->has_tls()) loop.attempt([&] { each->reload_tls_if_changed(); });
        }
        loop.insist([this] { next_file_check(); });
    }));
}

void broker_engine::parts::next_tick() {
    tick.expires_after(timer_wheel::tick);
    tick.async_wait(loop.handler([this](const error_code& cancelled) {
        if (cancelled || stopping) return;
        for (const auto& each : hosts)
            loop.attempt([&] { each->collect(); });
        for (const auto& each : listeners)
            loop.attempt([&] { each->tend(); });
        loop.attempt([this] { core.advance(loop.now()); });
        policy.advance(loop.now());
        events.wake_for_rest();
        loop.insist([this] { next_tick(); });
    }));
}

void broker_engine::parts::commit_if_due() {
    const std::optional<instant> due = core.commit_if_due(loop.now());
    if (!due || stopping) return;
    commit_time.expires_after(*due - loop.now());
    commit_time.async_wait(loop.handler([this](const error_code& cancelled) {
        if (!cancelled && !stopping) loop.insist([this] { commit_if_due(); });
    }));
}

handshake_thread* broker_engine::parts::door_of(std::uint64_t number) const {
    return number % (hosts.size() + 1) == 0 ? handshakes.get() : nullptr;
}

connection_host& broker_engine::parts::least_busy() {
    return **std::min_element(hosts.begin(), hosts.end(), [](const auto& one, const auto& other) {
        return one->size() < other->size();
    });
}

void broker_engine::parts::accept(connection_host& host, listener& from,
                                  std::unique_ptr<stream> peer_stream, const bound_address& peer) {
    if (draining) {  // its handshake has taken so long
        from.connection_ended();
        return;
    }
    host.serve(from, std::move(peer_stream),
               {peer.host, peer.port, from.name(), nullptr, from.limits()}, from.is_behind_proxy());
}

void broker_engine::parts::adopt(listener& into, stream_socket socket, external_peer peer) {
    connection_host& host = least_busy();
    stream_socket adopted(host.loop().context());
    error_code error = asio::error::operation_aborted;
    if (!draining) error = hand_over(socket, adopted);
    if (error) {
        events.push_unbounded(external_ended_event{peer.number});
        return;
    }
    into.connection_began();
    host.serve(
        into, std::make_unique<tcp_stream>(std::move(adopted)),
        {std::move(peer.address), peer.port, into.name(), nullptr, into.limits(), peer.number},
        false);
}

void broker_engine::parts::connection_closed(client_endpoint& which, const std::string& problem) {
    which.came_through().connection_ended();
    if (which.key_question != 0) key_questions.erase(which.key_question);
    const std::uint64_t external = which.peer().external;
    // Python waits for that one.
    if (external != 0) loop.insist([&] { events.push_unbounded(external_ended_event{external}); });
    if (!problem.empty()) loop.attempt([&] { log_problem(which.peer(), problem); });
}

void broker_engine::parts::key_wanted(client_endpoint& which, std::string_view identity) {
    const std::size_t cost = key_cost + identity.size();
    if (!keys.has_room(cost)) {
        which.give_key({});
        return;
    }
    key_questions.emplace(++last_key_question, &which);
    which.key_question = last_key_question;
    keys.add(which.key_question, cost);
    events.push_unbounded(
        key_event{which.key_question, std::string(which.peer().listener), std::string(identity)});
}

void broker_engine::parts::log_problem(const peer_info& peer, const std::string& problem) {
    core.peer_log().log(below_mqtt, peer.address, loop.now(), [&] {
        return "client at " + printable(peer.address) + ":" + std::to_string(peer.port) +
               " on listener '" + std::string(peer.listener) + "': " + problem;
    });
}

// -- the end

void broker_engine::parts::stop_on_thread(duration limit) {
    draining = true;
    stop_by = loop.now() + limit;
    for (const auto& each : listeners)
        each->close();
    loop.attempt([this] { core.begin_shutdown(loop.now()); });
    drain();
}

void broker_engine::parts::drain() {
    const instant now = loop.now();
    const bool is_late = now >= stop_by;
    bool is_done = is_late;
    loop.attempt([&] {
        if (is_late) {
            core.shutdown(now);
        } else if (core.shutdown_served(now) && is_all_sent()) {
            if (!linger_by) linger_by = now + stop_linger;
            is_done = now >= *linger_by || std::all_of(hosts.begin(), hosts.end(), [](auto& each) {
                          return each->size() == 0;
                      });
        }
    });
    loop.insist([&] {
        if (is_done) {
            // What was decided above goes out in this turn; then nobody waits for slow peers.
            loop.post([this] { close_everything(); });
            return;
        }
        drain_time.expires_after(drain_interval);
        drain_time.async_wait(loop.handler([this](const error_code& cancelled) {
            if (!cancelled) drain();
        }));
    });
}

bool broker_engine::parts::is_all_sent() const {
    return std::all_of(hosts.begin(), hosts.end(),
                       [](const auto& each) { return each->is_all_sent(); });
}

void broker_engine::parts::close_everything() {
    stopping = true;
    tick.cancel();
    file_check.cancel();
    commit_time.cancel();
    loop.attempt([this] {
        core.peer_log().finish(loop.now());
        policy.finish(loop.now());
    });
    for (const auto& each : hosts)
        loop.insist([&] { each->stop(); });
    drained.set_value();
}

void broker_engine::parts::report_failure(const char* what) {
    if (!loop.is_here()) return;  // the log is the core's
    core.peer_log().log(failed_step, {}, loop.now(), [&] {
        return std::string("the engine could not do what it was about to: ") + what;
    });
}

}  // namespace amqtt
