// How the broker ends: wills first, then every client when it was sent what waits for it.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "broker/broker.hpp"

namespace amqtt {

void broker::begin_shutdown(instant now) {
    now_ = now;
    // Before any client is gone that may have subscribed to them. One that comes back could still
    // withdraw a will with a delay, unless its session ends with the process.
    const bool last_chance = !journal_;
    std::vector<std::pair<session*, std::unique_ptr<will_message>>> wills;
    for (client& c : clients_) {
        if (c.phase != client_phase::connected || !c.request->will) continue;
        const bool waits = c.request->will->delay > 0 && expiry_of(*c.state) != duration{0};
        if (waits && !last_chance) continue;
        wills.emplace_back(c.state, std::move(c.request->will));
    }
    sessions_.for_each([&](session& s) {
        if (!last_chance || !s.away || !s.away->will) return;
        s.away->will_delay.cancel();
        wills.emplace_back(&s, std::move(s.away->will));
    });
    for (const auto& [of, will] : wills)
        publish_will(*of, *will);
}

bool broker::is_served(client& c) {
    if (c.phase != client_phase::connected) return true;
    const session& s = *c.state;
    return s.queue().empty() && !s.resend_pending && s.wants_retained.empty() &&
           !gates_.contains(&s) && c.connection.gate().size() == 0;
}

bool broker::shutdown_served(instant now) {
    now_ = now;
    // Policy may still have to decide on a will, or very many get it.
    const bool will_waits = !publications_.empty() ||
                            std::any_of(questions_.begin(), questions_.end(), [](const auto& each) {
                                return each.second.will && !each.second.asker;
                            });
    bool all = true;
    for (auto it = clients_.begin(); it != clients_.end();) {
        client& c = *it++;
        if (is_served(c) && (!will_waits || c.phase != client_phase::connected)) {
            end_for_shutdown(c);
        } else {
            all = false;
        }
    }
    return all;
}

void broker::shutdown(instant now) {
    begin_shutdown(now);
    while (!clients_.empty())
        end_for_shutdown(clients_.front());
    peer_log_.finish(now);
}

void broker::end_for_shutdown(client& c) {
    if (c.phase == client_phase::connected) {
        const bool moved = !settings_.server_reference.empty();
        c.connection.send_disconnect(
            moved ? reason_code::use_another_server : reason_code::server_shutting_down, {},
            settings_.server_reference);
    }
    end(c, reason_code::server_shutting_down, will_action::publish);
}

}  // namespace amqtt
