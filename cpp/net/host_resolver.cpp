#include "net/host_resolver.hpp"

#include <deque>
#include <map>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "net/signals.hpp"

namespace amqtt {
namespace {

// Lookups that may be under way; the others wait for one of them.
constexpr std::size_t most_threads = 4;

using work = asio::executor_work_guard<asio::io_context::executor_type>;

}  // namespace

// Shared with the threads, which may outlive the resolver.
struct host_resolver::state : std::enable_shared_from_this<state> {
    struct question {
        std::uint64_t number;
        std::string host;
        std::string port;
    };
    struct waiting {
        handler done;
        work keeps_running;  // its io_context
    };

    explicit state(asio::io_context& of) : context(&of) {}

    void run();
    void look_up(const question& asked);
    void answer(std::uint64_t number, const error_code& error, std::vector<tcp::endpoint> found);

    std::mutex mutex;
    asio::io_context* context;  // null: the resolver is gone
    std::deque<question> questions;
    std::map<std::uint64_t, waiting> waits;
    std::uint64_t last_number = 0;
    std::size_t threads = 0;
};

void host_resolver::state::run() {
    std::unique_lock guard(mutex);
    while (!questions.empty()) {
        const question asked = std::move(questions.front());
        questions.pop_front();
        if (!waits.contains(asked.number)) continue;
        guard.unlock();
        look_up(asked);
        guard.lock();
    }
    --threads;
}

void host_resolver::state::look_up(const question& asked) {
    error_code error;
    std::vector<tcp::endpoint> found;
    try {
        asio::io_context own;
        tcp::resolver resolver(own);
        for (const auto& each : resolver.resolve(asked.host, asked.port, error))
            found.push_back(each.endpoint());
    } catch (const std::bad_alloc&) {
        error = asio::error::no_memory;
    }
    answer(asked.number, error, std::move(found));
}

void host_resolver::state::answer(std::uint64_t number, const error_code& error,
                                  std::vector<tcp::endpoint> found) {
    const std::lock_guard guard(mutex);
    if (!context || !waits.contains(number)) return;
    asio::post(*context, [self = shared_from_this(), number, error, found = std::move(found)] {
        std::unique_lock inner(self->mutex);
        auto waiter = self->waits.extract(number);
        inner.unlock();
        if (!waiter.empty()) waiter.mapped().done(error, found);
    });
}

host_resolver::host_resolver(asio::io_context& context)
    : state_(std::make_shared<state>(context)) {}

host_resolver::~host_resolver() {
    std::map<std::uint64_t, state::waiting> dropped;  // behind the lock
    const std::lock_guard guard(state_->mutex);
    state_->context = nullptr;
    state_->questions.clear();
    dropped.swap(state_->waits);
}

std::uint64_t host_resolver::resolve(const std::string& host, std::uint16_t port, handler done) {
    const std::lock_guard guard(state_->mutex);
    const std::uint64_t number = ++state_->last_number;
    state_->waits.emplace(number,
                          state::waiting{std::move(done), work(state_->context->get_executor())});
    state_->questions.push_back({number, host, std::to_string(port)});
    if (state_->threads == most_threads) return number;
    try {
        std::thread([shared = state_] {
            block_all_signals();
            try {
                shared->run();
            } catch (...) {  // out of memory; whoever waits has a time limit
                const std::lock_guard inner(shared->mutex);
                --shared->threads;
            }
        }).detach();
        ++state_->threads;
    } catch (const std::system_error&) {
        if (state_->threads > 0) return number;  // another will do it
        state_->questions.pop_back();
        state_->waits.erase(number);
        throw;
    }
    return number;
}

void host_resolver::cancel(std::uint64_t number) noexcept {
    std::map<std::uint64_t, state::waiting>::node_type dropped;  // behind the lock
    const std::lock_guard guard(state_->mutex);
    dropped = state_->waits.extract(number);
}

}  // namespace amqtt
