// What the application that runs the broker does, and those who watch it.
#include <utility>
#include <vector>

#include "broker/broker.hpp"
#include "broker/log_kinds.hpp"
#include "topic/filter.hpp"

namespace amqtt {
namespace {

// Hands the packets of one client to the hooks.
class hooks_watcher : public packet_watcher {
  public:
    hooks_watcher(hooks& to, const client& of) noexcept : hooks_(to), client_(of) {}

    void packet_received(bytes_view packet) override {
        if (hooks_.wants(hook::packet_received)) hooks_.packet_received(client_, packet);
    }
    void packet_sent(bytes_view packet) override {
        if (hooks_.wants(hook::packet_sent)) hooks_.packet_sent(client_, packet);
    }

  private:
    hooks& hooks_;
    const client& client_;
};

}  // namespace

void broker::watch_packets(client& c) {
    const bool wanted = hooks_.wants(hook::packet_received) || hooks_.wants(hook::packet_sent);
    if (wanted && !c.watcher) c.watcher = std::make_unique<hooks_watcher>(hooks_, c);
    c.connection.watch(wanted ? c.watcher.get() : nullptr);
}

void broker::hooks_changed() {
    for (client& c : clients_)
        watch_packets(c);
}

void broker::resume_clients() {
    for (client& c : clients_) {
        if (std::exchange(c.throttled, false) && !c.held && !c.has_input_left()) {
            c.network->resume_reading();
        }
    }
}

void broker::retain(message_ptr content, instant now) {
    begin(now);
    const std::optional<qos> level = content->level();
    publication p(std::move(content), level, std::nullopt);
    store_retained(p);
}

bool broker::disconnect_client(std::string_view client_id, reason_code code, instant now) {
    begin(now);
    session* s = sessions_.find(client_id);
    if (!s || !s->connection) return false;
    client& c = *s->connection;
    log(log_kinds::connection_closed, c, "closed by the application");
    disconnect(c, code, "closed by the application");
    return true;
}

session* broker::create_session(std::string_view client_id) {
    if (sessions_.find(client_id)) return nullptr;
    session& created = sessions_.create(std::string(client_id));
    created.expiry_interval = never_expires;
    created.absence_begins().since = now_;
    set_expiry_timer(created, expiry_of(created));
    session_changed(created);
    return &created;
}

reason_code broker::add_subscription(session& s, std::string_view filter, qos level) {
    subscription_options options;
    options.level = level;
    options.retained = retain_handling::do_not_send;
    bool wants_retained = false;
    return subscribe(s, {filter, options}, 0, wants_retained);
}

void broker::expire_queue(session& s, instant now) {
    now_ = now;
    outbox_.expire(s);
}

bool broker::enqueue(session& s, message_ptr content) {
    const qos level = content->level();
    if (!outbox_.push(s, {std::move(content), level, false, nullptr, nullptr})) return false;
    if (s.connection) pump(s);
    return true;
}

bool broker::subscribe_local(std::uint64_t subscriber, std::string_view filter, qos level,
                             instant now) {
    begin(now);
    const auto parsed = parse_filter(filter);
    if (!parsed) return false;
    // Not in the registry: clients do not see it and cannot take it over.
    auto fresh = std::make_unique<session>("", settings_.queue);
    fresh->local_id = subscriber;
    subscription_options options;
    options.level = level;
    router_.subscribe(*fresh, filter, *parsed, options, 0);
    locals_.emplace(subscriber, std::move(fresh));
    if (!parsed->share.empty()) return true;
    std::vector<message_ptr> found;
    router_.retained().match(parsed->filter, found);
    for (const message_ptr& m : found) {
        if (!m->is_expired(now_)) hooks_.local_message(subscriber, m, true);
    }
    return true;
}

void broker::unsubscribe_local(std::uint64_t subscriber) {
    const auto it = locals_.find(subscriber);
    if (it == locals_.end()) return;
    router_.unsubscribe_all(*it->second);
    locals_.erase(it);
}

}  // namespace amqtt
