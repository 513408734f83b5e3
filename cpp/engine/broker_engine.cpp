#include "engine/broker_engine.hpp"

#include <algorithm>
#include <exception>
#include <future>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "engine/broker_engine_parts.hpp"
#include "net/tcp_stream.hpp"

namespace amqtt {
namespace {

stream_socket::protocol_type unix_stream() {
    return {AF_UNIX, 0};
}

}  // namespace

broker_engine::broker_engine(const broker_settings& settings, policy_settings policy,
                             python_decisions python, std::size_t threads)
    : parts_(std::make_unique<parts>(settings, std::move(policy), std::move(python), threads)),
      process_(::getpid()) {}

broker_engine::~broker_engine() {
    if (::getpid() != process_) {
        // The thread and the sockets' registrations belong to the parent process; touching them
        // here would disturb it.
        (void)parts_.release();
        return;
    }
    stop();
}

broker_engine::parts& broker_engine::checked() const {
    if (::getpid() != process_) {
        throw std::logic_error(
            "this broker was made before a fork and belongs to the parent "
            "process; make a new one in this process");
    }
    return *parts_;
}

void broker_engine::keep_state(bool durable, duration commit_delay) {
    parts& p = checked();
    const auto guard = p.life.lock();
    if (!p.life.is_made()) throw std::logic_error("keep_state() must come before start()");
    journal_settings how;
    how.durable = durable;
    how.commit_delay = commit_delay;
    p.keep_state(how);
}

void broker_engine::restore(stored_state part) {
    parts& p = checked();
    const auto guard = p.life.lock();
    if (!p.life.is_made()) throw std::logic_error("restore() must come before start()");
    p.core.restore(std::move(part), p.loop.now());
}

void broker_engine::finish_restore() {
    parts& p = checked();
    const auto guard = p.life.lock();
    if (!p.life.is_made()) throw std::logic_error("finish_restore() must come before start()");
    p.core.finish_restore(p.loop.now());
}

instant broker_engine::now() {
    return checked().loop.now();
}

std::vector<bound_address> broker_engine::listen(const listener_settings& settings) {
    parts& p = checked();
    const auto guard = p.life.lock();
    if (!p.life.is_made()) throw std::logic_error("listen() must come before start()");
    p.listeners.push_back(std::make_shared<listener>(p.loop, settings));
    return p.listeners.back()->addresses();
}

void broker_engine::start() {
    parts& p = checked();
    const auto guard = p.life.lock();
    if (!p.life.is_made()) throw std::logic_error("the engine was started already");
    if (p.loop.is_shared() && p.has_tls()) p.handshakes = std::make_unique<handshake_thread>();
    p.loop.on_failure([&p](const char* what) { p.report_failure(what); });
    p.loop.post([&p] { p.start_on_thread(); });
    try {
        if (p.handshakes) p.handshakes->start();
        for (const auto& each : p.hosts)
            each->start_thread();
        p.loop.start();
    } catch (...) {
        // The core does not run, so its threads have to be told by somebody else.
        for (const auto& each : p.hosts)
            each->abandon_thread();
        if (p.handshakes) p.handshakes->end();
        p.life.has_ended();
        throw;
    }
    p.life.has_started();
}

void broker_engine::stop(duration limit) {
    parts& p = checked();
    if (!p.life.begin_end()) {
        p.life.wait_until_over();
        return;
    }
    bool is_running = false;
    {
        const auto guard = p.life.lock();
        is_running = p.life.is_running();
        if (p.life.is_made()) {
            for (const auto& each : p.listeners)
                each->close();
        }
    }
    if (is_running) {
        p.loop.insist([&] { p.loop.post([&p, limit] { p.stop_on_thread(limit); }); });
        // call() goes on meanwhile.
        p.drained.get_future().wait();
        // What was posted until here runs: the loop ends when it is out of work.
        p.life.enter(engine_life::phase::joining);
        for (const auto& each : p.hosts)
            each->join_thread();
        if (p.handshakes) p.handshakes->end();  // nobody knocks any more
        p.loop.insist([&] {
            p.loop.post([&p] {
                for (const auto& each : p.hosts)
                    each->end();
            });
        });
        p.loop.join();
    }
    p.life.enter(engine_life::phase::over);
}

void broker_engine::adopt(int descriptor, const std::string& listener_name, external_peer peer) {
    parts& p = checked();
    const auto guard = p.life.lock();
    // The list does not change any more once the thread runs.
    const auto found = std::find_if(p.listeners.begin(), p.listeners.end(), [&](const auto& each) {
        return each->name() == listener_name;
    });
    if (found == p.listeners.end()) {
        throw std::invalid_argument("there is no listener '" + listener_name + "'");
    }
    stream_socket adopted(p.loop.context());
    error_code error;
    adopted.assign(unix_stream(), descriptor, error);
    if (error) throw std::system_error(std::error_code(error), "a connection that was handed in");
    if (p.life.is_over()) {
        p.events.push_unbounded(external_ended_event{peer.number});
        return;
    }
    p.loop.post([&p, into = *found, socket = std::move(adopted), peer = std::move(peer)]() mutable {
        p.adopt(*into, std::move(socket), std::move(peer));
    });
}

void broker_engine::execute(broker_command command) {
    checked().commands.push_unbounded(std::move(command));
}

template <class F>
auto broker_engine::call(F f) {
    parts& p = checked();
    std::promise<decltype(f(p))> answer;
    {
        const auto guard = p.life.lock();
        if (!p.life.is_running()) return f(p);
        p.loop.post([&] {
            try {
                answer.set_value(f(p));
            } catch (...) {
                answer.set_exception(std::current_exception());
            }
        });
    }
    return answer.get_future().get();
}

std::unique_ptr<state_changes> broker_engine::take_changes() {
    return call([](parts& p) { return p.core.take_changes(); });
}

engine_status broker_engine::status() {
    return call([](parts& p) {
        engine_status now;
        for (const auto& each : p.hosts) {
            each->collect();
            now.exchanged += each->exchanged();
        }
        now.stats = p.core.stats();
        now.sessions = p.core.sessions().size();
        now.subscriptions = p.core.routes().subscription_count();
        now.retained = p.core.routes().retained().size();
        p.core.sessions().for_each([&](session& s) {
            now.inflight_in += s.received_qos2().size();
            now.inflight_out += s.inflight().size();
            if (!s.connection) now.queued += s.queue().size();
        });
        for (const auto& each : p.listeners)
            now.connections.emplace_back(each->name(), each->connections());
        return now;
    });
}

std::vector<std::pair<std::string, std::string>> broker_engine::reload_certificates() {
    return call([](parts& p) {
        std::vector<std::pair<std::string, std::string>> problems;
        for (const auto& each : p.listeners) {
            if (!each->has_tls()) continue;
            std::string problem = each->reload_tls();
            if (!problem.empty()) problems.emplace_back(each->name(), std::move(problem));
        }
        return problems;
    });
}

std::size_t broker_engine::session_count() {
    return call([](parts& p) { return p.core.sessions().size(); });
}

std::vector<std::string> broker_engine::session_ids() {
    return call([](parts& p) {
        std::vector<std::string> ids;
        p.core.sessions().for_each([&](session& s) { ids.push_back(s.client_id()); });
        return ids;
    });
}

std::optional<session_facts> broker_engine::find_session(const std::string& client_id) {
    return call([&](parts& p) {
        session* s = p.core.sessions().find(client_id);
        if (!s) return std::optional<session_facts>();
        p.core.expire_queue(*s, p.loop.now());
        return std::optional(facts_of(*s));
    });
}

std::map<std::string, std::vector<std::pair<std::string, qos>>> broker_engine::subscriptions() {
    return call([](parts& p) {
        std::map<std::string, std::vector<std::pair<std::string, qos>>> all;
        p.core.sessions().for_each([&](session& s) {
            for (const auto& entry : s.subscriptions())
                all[std::string(entry->name())].emplace_back(s.client_id(), entry->options.level);
        });
        return all;
    });
}

std::vector<std::pair<std::string, qos>> broker_engine::subscribers_of(const std::string& filter) {
    return call([&](parts& p) {
        std::vector<std::pair<std::string, qos>> all;
        for (const subscription* each : p.core.routes().subscriptions_of(filter)) {
            // Those inside the process have no session that a client could have.
            if (each->subscriber->local_id != 0) continue;
            all.emplace_back(each->subscriber->client_id(), each->options.level);
        }
        return all;
    });
}

message_ptr broker_engine::find_retained(const std::string& topic) {
    return call([&](parts& p) {
        message_ptr found = p.core.routes().retained().find(topic);
        return found && !found->is_expired(p.loop.now()) ? found : nullptr;
    });
}

std::vector<message_ptr> broker_engine::retained() {
    return call([](parts& p) {
        std::vector<message_ptr> all;
        p.core.routes().retained().all(all);
        std::erase_if(all, [&](const message_ptr& m) { return m->is_expired(p.loop.now()); });
        return all;
    });
}

bool broker_engine::create_session(const std::string& client_id) {
    return call([&](parts& p) { return p.core.create_session(client_id) != nullptr; });
}

std::optional<reason_code> broker_engine::subscribe(const std::string& client_id,
                                                    const std::string& filter, qos level) {
    return call([&](parts& p) {
        session* s = p.core.sessions().find(client_id);
        return s ? std::optional(p.core.add_subscription(*s, filter, level)) : std::nullopt;
    });
}

std::vector<std::string> broker_engine::subscriptions_of(const std::string& client_id) {
    return call([&](parts& p) {
        std::vector<std::string> filters;
        if (session* s = p.core.sessions().find(client_id)) {
            for (const auto& entry : s->subscriptions())
                filters.emplace_back(entry->name());
        }
        return filters;
    });
}

bool broker_engine::revoke(const std::string& client_id, const std::string& filter) {
    return call([&](parts& p) {
        session* s = p.core.sessions().find(client_id);
        return s && p.core.revoke(*s, filter);
    });
}

bool broker_engine::enqueue(const std::string& client_id, message_ptr content) {
    return call([&](parts& p) {
        session* s = p.core.sessions().find(client_id);
        return s && p.core.enqueue(*s, std::move(content));
    });
}

bool broker_engine::subscribe_local(std::uint64_t subscriber, const std::string& filter,
                                    qos level) {
    return call(
        [&](parts& p) { return p.core.subscribe_local(subscriber, filter, level, p.loop.now()); });
}

int broker_engine::event_fd() const {
    return checked().readable.fd();
}

bool broker_engine::take_events(std::vector<broker_event>& into, std::size_t most) {
    parts& p = checked();
    const bool more = p.events.take(into, most, [&p] { p.readable.reset(); });
    if (!more && p.policy.take_congestion()) {
        p.loop.post([&p] { p.core.resume_clients(); });
    }
    return more;
}

}  // namespace amqtt
