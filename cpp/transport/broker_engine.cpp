#include "transport/broker_engine.hpp"

#include <algorithm>
#include <future>
#include <limits>
#include <stdexcept>
#include <unistd.h>
#include <utility>

#include <boost/unordered/unordered_flat_set.hpp>

#include "bridge/mailbox.hpp"
#include "bridge/notifier.hpp"
#include "broker/broker.hpp"
#include "transport/broker_connection.hpp"
#include "transport/reactor.hpp"

namespace amqtt {
namespace {

constexpr auto file_check_interval = std::chrono::seconds(1);

}  // namespace

struct broker_engine::parts {
    parts(const broker_settings& settings, const policy_settings& policy_options)
        : events([this] { readable.notify(); }),
          commands([this] { loop.post([this] { run_commands(); }); }),
          policy(policy_options,
                 [this](log_record record) {
                     const std::size_t size = record.text.size();
                     events.push(std::move(record), size);
                 }),
          core(settings, policy),
          tick(loop.context()),
          file_check(loop.context()) {}

    void start_on_thread();
    void stop_on_thread();
    void next_tick();
    void next_file_check();
    void accept(listener& from, std::unique_ptr<stream> peer_stream, const bound_address& peer);
    void log_problem(const peer_info& peer, const std::string& problem);
    void run_commands();
    // Runs f on the engine's thread, or here when there is none, and returns what it returns.
    template <class F>
    auto call(F f);

    notifier readable;
    mailbox<broker_event> events;
    reactor loop;
    mailbox<broker_command> commands;
    packaged_policy policy;
    broker core;
    asio::steady_timer tick;
    asio::steady_timer file_check;
    std::vector<std::shared_ptr<listener>> listeners;
    boost::unordered_flat_set<std::shared_ptr<broker_connection>> connections;
    std::vector<broker_command> taken;  // scratch of run_commands()
    bool started = false;
    bool stopping = false;
    bool stopped = false;
};

void broker_engine::parts::start_on_thread() {
    for (const auto& each : listeners) {
        each->start([this, from = each.get()](
                        std::unique_ptr<stream> peer_stream,
                        const bound_address& peer) { accept(*from, std::move(peer_stream), peer); },
                    [this](log_level level, const std::string& text) { policy.log(level, text); });
    }
    next_tick();
    const bool any_tls = std::any_of(listeners.begin(), listeners.end(),
                                     [](const auto& each) { return each->has_tls(); });
    if (any_tls) next_file_check();
}

void broker_engine::parts::next_file_check() {
    file_check.expires_after(file_check_interval);
    file_check.async_wait([this](const error_code& cancelled) {
        if (cancelled || stopping) return;
        for (const auto& each : listeners) {
            if (each->has_tls()) each->reload_tls_if_changed();
        }
        next_file_check();
    });
}

void broker_engine::parts::next_tick() {
    tick.expires_after(timer_wheel::tick);
    tick.async_wait([this](const error_code& cancelled) {
        if (cancelled || stopping) return;
        core.advance(loop.now());
        next_tick();
    });
}

void broker_engine::parts::accept(listener& from, std::unique_ptr<stream> peer_stream,
                                  const bound_address& peer) {
    auto connection = std::make_shared<broker_connection>(loop, core, std::move(peer_stream));
    connections.insert(connection);
    connection->start({peer.host, peer.port, from.name(), nullptr, from.limits()},
                      from.is_behind_proxy(),
                      [this, &from, weak = std::weak_ptr(connection)](const peer_info& who,
                                                                      const std::string& problem) {
                          from.connection_ended();
                          if (!problem.empty()) log_problem(who, problem);
                          if (const auto ended = weak.lock()) connections.erase(ended);
                      });
}

void broker_engine::parts::log_problem(const peer_info& peer, const std::string& problem) {
    policy.log(log_level::info, "client at " + peer.address + ":" + std::to_string(peer.port) +
                                    " on listener '" + peer.listener + "': " + problem);
}

void broker_engine::parts::stop_on_thread() {
    stopping = true;
    tick.cancel();
    file_check.cancel();
    for (const auto& each : listeners)
        each->close();
    core.shutdown(loop.now());
    // What was decided above goes out in this turn; then nobody waits for slow peers.
    loop.post([this] {
        const std::vector<std::shared_ptr<broker_connection>> all(connections.begin(),
                                                                  connections.end());
        for (const auto& connection : all)
            connection->close();
    });
}

void broker_engine::parts::run_commands() {
    taken.clear();
    commands.take(taken, std::numeric_limits<std::size_t>::max(), [] {});
    for (const broker_command& command : taken) {
        const auto& what = std::get<publish_command>(command);
        core.publish(what.content->topic(), what.content->payload(), what.level,
                     what.content->retain(), loop.now());
    }
}

template <class F>
auto broker_engine::parts::call(F f) {
    if (!started || stopped) return f();
    std::promise<decltype(f())> answer;
    loop.post([&] { answer.set_value(f()); });
    return answer.get_future().get();
}

broker_engine::broker_engine(const broker_settings& settings, const policy_settings& policy)
    : parts_(std::make_unique<parts>(settings, policy)), process_(::getpid()) {}

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

std::vector<bound_address> broker_engine::listen(const listener_settings& settings) {
    parts& p = checked();
    if (p.started) throw std::logic_error("listen() must come before start()");
    p.listeners.push_back(std::make_shared<listener>(p.loop, settings));
    return p.listeners.back()->addresses();
}

void broker_engine::start() {
    parts& p = checked();
    if (std::exchange(p.started, true)) throw std::logic_error("the engine was started already");
    p.loop.post([&p] { p.start_on_thread(); });
    p.loop.start();
}

void broker_engine::stop() {
    parts& p = checked();
    if (std::exchange(p.stopped, true)) return;
    if (p.started) {
        p.loop.post([&p] { p.stop_on_thread(); });
    } else {
        for (const auto& each : p.listeners)
            each->close();
    }
    p.loop.join();
}

void broker_engine::publish(message_ptr content, std::optional<qos> level) {
    checked().commands.push_unbounded(publish_command{std::move(content), level});
}

engine_status broker_engine::status() {
    parts& p = checked();
    const auto read = [&p] {
        engine_status now;
        now.stats = p.core.stats();
        now.sessions = p.core.sessions().size();
        now.subscriptions = p.core.routes().subscription_count();
        now.retained = p.core.routes().retained().size();
        for (const auto& each : p.listeners)
            now.connections.emplace_back(each->name(), each->connections());
        return now;
    };
    return p.call(read);
}

std::vector<std::pair<std::string, std::string>> broker_engine::reload_certificates() {
    parts& p = checked();
    return p.call([&p] {
        std::vector<std::pair<std::string, std::string>> problems;
        for (const auto& each : p.listeners) {
            if (!each->has_tls()) continue;
            std::string problem = each->reload_tls();
            if (!problem.empty()) problems.emplace_back(each->name(), std::move(problem));
        }
        return problems;
    });
}

int broker_engine::event_fd() const {
    return checked().readable.fd();
}

bool broker_engine::take_events(std::vector<broker_event>& into, std::size_t most) {
    parts& p = checked();
    return p.events.take(into, most, [&p] { p.readable.reset(); });
}

}  // namespace amqtt
