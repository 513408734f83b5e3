// What a broker's engine is made of; belongs to its thread once that runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "bridge/mailbox.hpp"
#include "bridge/notifier.hpp"
#include "broker/broker.hpp"
#include "engine/broker_engine.hpp"
#include "engine/engine_life.hpp"
#include "net/reactor.hpp"
#include "server/handshake_thread.hpp"
#include "server/io_host.hpp"
#include "server/local_connection.hpp"

namespace amqtt {

struct broker_engine::parts : private state_store, private connection_owner {
    parts(const broker_settings& settings, policy_settings policy_options, python_decisions python,
          std::size_t threads)
        : events([this] { readable.notify(); }),
          commands([this] { loop.post([this] { run_commands(); }); }),
          policy(
              std::move(policy_options), std::move(python), events,
              [this] { loop.post([this] { core.work(loop.now()); }); },
              [this] { return loop.now(); }),
          core(settings, policy),
          tick(loop.context()),
          file_check(loop.context()),
          commit_time(loop.context()),
          drain_time(loop.context()),
          home{core, loop, *this},
          keys(policy.limits()),
          last_key_question(settings.first_ticket) {
        if (threads == 1) {
            hosts.push_back(std::make_shared<core_host>(home));
            return;
        }
        loop.share();
        while (hosts.size() + 1 < threads)
            hosts.push_back(std::make_shared<io_host>(home));
    }

    void start_on_thread();
    // The first step of the end; drained is set behind the last.
    void stop_on_thread(duration limit);
    // Looks at what is left to be sent to clients, now and then until nothing is or time is up.
    void drain();
    bool is_all_sent() const;
    void close_everything();
    bool has_tls() const;
    void next_tick();
    void next_file_check();
    // Who is to serve the next connection.
    connection_host& least_busy();
    // Who is to make the handshake of a connection, if not the thread that is to serve it.
    handshake_thread* door_of(std::uint64_t number) const;
    void accept(connection_host& host, listener& from, std::unique_ptr<stream> peer_stream,
                const bound_address& peer);
    void adopt(listener& into, stream_socket socket, external_peer peer);
    void connection_closed(client_endpoint& which, const std::string& problem) override;
    void key_wanted(client_endpoint& which, std::string_view identity) override;
    void log_problem(const peer_info& peer, const std::string& problem);
    // Something was thrown that ended no connection, or beside that.
    void report_failure(const char* what);
    void keep_state(const journal_settings& how) { core.keep_in(*this, how); }
    void changed() override {
        loop.post([this] { commit_if_due(); });
    }
    void commit(std::unique_ptr<state_changes> batch) override {
        events.push_unbounded(state_changes_event{std::move(batch)});
    }
    void commit_if_due();
    void run_commands();
    void run(publish_command& what);
    void run(authenticated_command& what);
    void run(authentication_reply_command& what);
    void run(topic_decided_command& what);
    void run(const topics_allowed_command& what);
    void run(key_command& what);
    void run(retain_command& what) { core.retain(std::move(what.content), loop.now()); }
    void run(hooks_command& what);
    void run(disconnect_client_command& what) {
        core.disconnect_client(what.client_id, what.code, loop.now());
    }
    void run(forget_verdicts_command& what);
    void run(committed_command& what) { core.committed(what.number, loop.now()); }
    void run(unsubscribe_local_command& what) { core.unsubscribe_local(what.subscriber); }

    notifier readable;
    mailbox<broker_event> events;
    reactor loop;
    mailbox<broker_command> commands;
    plugin_hooks policy;
    broker core;
    asio::steady_timer tick;
    asio::steady_timer file_check;
    asio::steady_timer commit_time;
    asio::steady_timer drain_time;
    std::vector<std::shared_ptr<listener>> listeners;
    broker_context home;
    std::vector<std::shared_ptr<connection_host>> hosts;  // that of the core, or all others
    std::unique_ptr<handshake_thread> handshakes;         // with several threads, and TLS
    // Connections that wait for a pre-shared key.
    boost::unordered_flat_map<std::uint64_t, client_endpoint*> key_questions;
    open_questions keys;  // the same for Python, whose answers may come after the connection's end
    std::uint64_t last_key_question;
    std::vector<broker_command> taken;  // scratch of run_commands()
    bool draining = false;
    bool stopping = false;
    instant stop_by{0};                // no client is waited for any longer
    std::optional<instant> linger_by;  // nor one that was sent everything, to close its side
    std::promise<void> drained;
    engine_life life;
};

}  // namespace amqtt
