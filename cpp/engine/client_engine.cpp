#include "engine/client_engine.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <span>
#include <stdexcept>
#include <unistd.h>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>

#include "bridge/mailbox.hpp"
#include "bridge/notifier.hpp"
#include "client/client_link.hpp"
#include "engine/reactor_handoff.hpp"
#include "net/low_traffic_detector.hpp"
#include "net/reactor.hpp"
#include "net/wake_set.hpp"

namespace amqtt {
namespace {

constexpr auto tick_time = std::chrono::milliseconds(100);

// Commands that are worth waking the thread for, so that it works while Python makes more.
constexpr std::size_t gathered_at_most = 128;

// With more of them the thread runs the engine: it alone finds out cheaply which have input.
constexpr std::size_t links_at_most = 4;

std::size_t size_of(const client_command& command) {
    const auto* sent = std::get_if<client_publish_command>(&command.what);
    return sent ? sent->content->size() : 0;
}

std::size_t size_of(const client_event& event) {
    if (const auto* shown = std::get_if<client_packet_event>(&event.what))
        return shown->packet.size();
    const auto* received = std::get_if<message_event>(&event.what);
    return received ? received->content->size() : 0;
}

// Commands or events that come at one time.
template <class Item>
bool are_lone(std::span<const Item> items) {
    if (items.size() > low_traffic_detector::most_items) return false;
    std::size_t size = 0;
    for (const Item& item : items)
        size += size_of(item);
    return size <= low_traffic_detector::most_bytes;
}

}  // namespace

struct client_engine::parts {
    parts()
        : wakes(readable.fd()),
          events([this] {
              if (!takes_at_once) readable.notify();
          }),
          loan(
              loop, [this] { return may_lend(); }, [this] { wakes.clear(); }),
          commands([this] {
              if (!loan.is_lent()) loop.post([this] { run_commands(); });
          }),
          tick(loop.context()) {}

    void next_tick();
    void run_commands();
    void run(const client_command& command);
    void stop_on_thread();
    std::shared_ptr<client_link> make_link(client_handle handle);

    // -- with the lock of the loan

    void hand_over();
    bool is_quiet() const;
    bool may_lend();
    template <class F>
    void turn(F&& f) {
        loan.turn(std::forward<F>(f));
        if (!is_quiet()) loan.take_back();
    }
    void read_sockets();
    void note_traffic(std::span<const client_event> come);

    notifier readable;
    wake_set wakes;
    mailbox<client_event> events;
    std::atomic<bool> crowded{false};  // links have paused reading for Python to catch up
    std::atomic<client_handle> last_handle{0};
    block_pool pool;
    reactor loop;
    host_resolver resolver{loop.context()};
    reactor_handoff loan;
    // With its lock, as the pushing side of commands, for which the thread is woken unless it has
    // lent the reactor.
    std::vector<client_command> gathered;
    low_traffic_detector traffic;
    bool has_sent_at_once = false;  // since events were taken, or a flush
    bool has_more = false;          // take_events() has left some
    bool takes_at_once = false;     // who runs the reactor looks for events right behind
    mailbox<client_command> commands;
    asio::steady_timer tick;
    boost::unordered_flat_map<client_handle, std::shared_ptr<client_link>> links;
    std::vector<client_command> taken;  // scratch of run_commands()
    bool stopping = false;
    std::atomic<bool> stopped{false};
};

void client_engine::parts::next_tick() {
    tick.expires_after(tick_time);
    tick.async_wait([this](const error_code& cancelled) {
        if (cancelled || stopping) return;
        for (const auto& [handle, link] : links) {
            if (!loop.attempt([&] { link->advance(); })) link->give_up();
        }
        loop.insist([this] { next_tick(); });
    });
}

void client_engine::parts::run_commands() {
    taken.clear();
    commands.take(taken, std::numeric_limits<std::size_t>::max(), [] {});
    for (const client_command& command : taken) {
        if (loop.attempt([&] { run(command); })) continue;
        const auto found = links.find(command.client);
        if (found != links.end() && found->second) found->second->give_up();
    }
}

void client_engine::parts::run(const client_command& command) {
    if (stopping) return;
    const auto found = links.find(command.client);
    const std::shared_ptr<client_link> kept =
        found != links.end()
            ? found->second
            : links.emplace(command.client, make_link(command.client)).first->second;
    if (std::holds_alternative<forget_command>(command.what)) links.erase(command.client);
    std::visit([&](const auto& what) { kept->run(what); }, command.what);
}

std::shared_ptr<client_link> client_engine::parts::make_link(client_handle handle) {
    return std::make_shared<client_link>(
        loop, resolver, pool, wakes, handle,
        [this](client_event event) {
            const std::size_t size = size_of(event);
            // Unbounded here: the bound is that links stop reading.
            events.push_unbounded(std::move(event), size);
        },
        [this] {
            if (!events.is_over_half_full()) return false;
            crowded = true;
            // As in plugin_hooks::is_congested(): Python may have taken everything in between.
            return events.is_over_half_full() || !crowded.exchange(false);
        });
}

void client_engine::parts::stop_on_thread() {
    stopping = true;
    tick.cancel();
    for (const auto& [handle, link] : links)
        link->run(forget_command{});
    links.clear();
}

void client_engine::parts::hand_over() {
    if (!are_lone(std::span<const client_command>(gathered))) {
        traffic.has_crowded();
        loan.take_back();
    }
    commands.push_all_unbounded(gathered);
    if (loan.is_lent()) turn([this] { run_commands(); });
}

bool client_engine::parts::is_quiet() const {
    return links.size() <= links_at_most &&
           std::all_of(links.begin(), links.end(),
                       [](const auto& each) { return each.second->is_quiet(); });
}

bool client_engine::parts::may_lend() {
    loop.turn([this] { run_commands(); });
    if (!is_quiet()) return false;
    for (const auto& [handle, link] : links) {
        if (link->watch()) continue;
        wakes.clear();
        return false;
    }
    return true;
}

void client_engine::parts::read_sockets() {
    takes_at_once = true;
    turn([this] {
        for (const auto& [handle, link] : links)
            link->read_now();
    });
    takes_at_once = false;
}

void client_engine::parts::note_traffic(std::span<const client_event> come) {
    if (come.empty()) return;
    if (!are_lone(come)) {
        traffic.has_crowded();
        loan.take_back();
        return;
    }
    traffic.came_alone(loop.now());
    if (traffic.has_settled()) loan.ask();
}

client_engine::client_engine() : parts_(std::make_unique<parts>()), process_(::getpid()) {
    parts& p = *parts_;
    p.loop.post([&p] { p.next_tick(); });
    p.loop.start_with([&p] { p.loan.run(); });
}

client_engine::~client_engine() {
    if (::getpid() != process_) {
        // The thread and the sockets' registrations belong to the parent process; touching them
        // here would disturb it.
        (void)parts_.release();
        return;
    }
    stop();
}

client_engine::parts& client_engine::checked() const {
    if (::getpid() != process_) {
        throw std::logic_error(
            "this client was made before a fork and belongs to the parent "
            "process; make a new one in this process");
    }
    return *parts_;
}

client_handle client_engine::open() {
    return ++checked().last_handle;
}

void client_engine::send(client_command command) {
    parts& p = checked();
    const auto guard = p.loan.lock();
    p.gathered.push_back(std::move(command));
    p.hand_over();
}

bool client_engine::gather(client_command command) {
    parts& p = checked();
    const auto guard = p.loan.lock();
    const bool was_empty = p.gathered.empty();
    p.gathered.push_back(std::move(command));
    const bool at_once = p.loan.is_lent() && was_empty && !std::exchange(p.has_sent_at_once, true);
    if (!at_once && p.gathered.size() < gathered_at_most) return was_empty;
    p.hand_over();
    return false;
}

void client_engine::flush() {
    parts& p = checked();
    const auto guard = p.loan.lock();
    p.has_sent_at_once = false;
    if (!p.gathered.empty()) p.hand_over();
}

void client_engine::stop() {
    parts& p = checked();
    if (p.stopped.exchange(true)) return;
    {
        const auto guard = p.loan.lock();
        p.loan.end();
    }
    p.loop.post([&p] { p.stop_on_thread(); });
    p.loop.join();
}

int client_engine::event_fd() const {
    return checked().wakes.fd();
}

bool client_engine::take_events(std::vector<client_event>& into, std::size_t most) {
    parts& p = checked();
    const auto guard = p.loan.lock();
    p.has_sent_at_once = false;
    const std::size_t before = into.size();
    // What was not taken the last time has told already that there is something to take.
    if (p.loan.is_lent() && !p.has_more) p.read_sockets();
    p.has_more = p.events.take(into, most, [&p] { p.readable.reset(); });
    p.note_traffic(std::span<const client_event>(into).subspan(before));
    if (!p.has_more && p.crowded.exchange(false)) {
        p.loop.post([&p] {
            for (const auto& [handle, link] : p.links)
                link->resume_reading();
        });
    }
    return p.has_more;
}

}  // namespace amqtt
