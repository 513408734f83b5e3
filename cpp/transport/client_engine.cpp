#include "transport/client_engine.hpp"

#include <atomic>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <unistd.h>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>

#include "bridge/mailbox.hpp"
#include "bridge/notifier.hpp"
#include "transport/client_link.hpp"
#include "transport/reactor.hpp"

namespace amqtt {
namespace {

constexpr auto tick_time = std::chrono::milliseconds(100);

// Commands that are worth waking the thread for, so that it works while Python makes more.
constexpr std::size_t gathered_at_most = 128;

std::size_t size_of(const client_event& event) {
    if (const auto* shown = std::get_if<client_packet_event>(&event.what))
        return shown->packet.size();
    const auto* received = std::get_if<message_event>(&event.what);
    return received ? received->content->size() : 0;
}

}  // namespace

struct client_engine::parts {
    parts()
        : events([this] { readable.notify(); }),
          commands([this] { loop.post([this] { run_commands(); }); }),
          tick(loop.context()) {}

    void next_tick();
    void run_commands();
    void run(const client_command& command);
    void stop_on_thread();
    std::shared_ptr<client_link> make_link(client_handle handle);

    notifier readable;
    mailbox<client_event> events;
    std::atomic<bool> crowded{false};  // links have paused reading for Python to catch up
    std::atomic<client_handle> last_handle{0};
    block_pool pool;
    reactor loop;
    mailbox<client_command> commands;
    std::mutex gathering;
    std::vector<client_command> gathered;
    asio::steady_timer tick;
    boost::unordered_flat_map<client_handle, std::shared_ptr<client_link>> links;
    std::vector<client_command> taken;  // scratch of run_commands()
    bool stopping = false;
    bool stopped = false;
};

void client_engine::parts::next_tick() {
    tick.expires_after(tick_time);
    tick.async_wait([this](const error_code& cancelled) {
        if (cancelled || stopping) return;
        for (const auto& [handle, link] : links)
            link->advance();
        next_tick();
    });
}

void client_engine::parts::run_commands() {
    taken.clear();
    commands.take(taken, std::numeric_limits<std::size_t>::max(), [] {});
    for (const client_command& command : taken)
        run(command);
}

void client_engine::parts::run(const client_command& command) {
    if (stopping) return;
    std::shared_ptr<client_link>& link = links[command.client];
    if (!link) link = make_link(command.client);
    const std::shared_ptr<client_link> kept = link;
    if (std::holds_alternative<forget_command>(command.what)) links.erase(command.client);
    std::visit([&](const auto& what) { kept->run(what); }, command.what);
}

std::shared_ptr<client_link> client_engine::parts::make_link(client_handle handle) {
    return std::make_shared<client_link>(
        loop, pool, handle,
        [this](client_event event) {
            const std::size_t size = size_of(event);
            // Unbounded here: the bound is that links stop reading.
            events.push_unbounded(std::move(event), size);
        },
        [this] {
            if (!events.is_over_half_full()) return false;
            crowded = true;
            return true;
        });
}

void client_engine::parts::stop_on_thread() {
    stopping = true;
    tick.cancel();
    for (const auto& [handle, link] : links)
        link->run(forget_command{});
    links.clear();
}

client_engine::client_engine() : parts_(std::make_unique<parts>()), process_(::getpid()) {
    parts& p = *parts_;
    p.loop.post([&p] { p.next_tick(); });
    p.loop.start();
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
    const std::lock_guard guard(p.gathering);
    p.gathered.push_back(std::move(command));
    p.commands.push_all_unbounded(p.gathered);
}

bool client_engine::gather(client_command command) {
    parts& p = checked();
    const std::lock_guard guard(p.gathering);
    const bool was_empty = p.gathered.empty();
    p.gathered.push_back(std::move(command));
    if (p.gathered.size() < gathered_at_most) return was_empty;
    p.commands.push_all_unbounded(p.gathered);
    return false;
}

void client_engine::flush() {
    parts& p = checked();
    const std::lock_guard guard(p.gathering);
    p.commands.push_all_unbounded(p.gathered);
}

void client_engine::stop() {
    parts& p = checked();
    if (std::exchange(p.stopped, true)) return;
    p.loop.post([&p] { p.stop_on_thread(); });
    p.loop.join();
}

int client_engine::event_fd() const {
    return checked().readable.fd();
}

bool client_engine::take_events(std::vector<client_event>& into, std::size_t most) {
    parts& p = checked();
    const bool more = p.events.take(into, most, [&p] { p.readable.reset(); });
    if (!more && p.crowded.exchange(false)) {
        p.loop.post([&p] {
            for (const auto& [handle, link] : p.links)
                link->resume_reading();
        });
    }
    return more;
}

}  // namespace amqtt
