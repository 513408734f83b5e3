// Looks up host names without anybody waiting for the system.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/asio.hpp"

namespace amqtt {

// getaddrinfo() cannot be interrupted and takes as long as the name servers let it. Asio's own
// resolver has a thread for it that the end of the io_context waits for. The threads here are left
// alone when they are not wanted any more: they end when the system has answered.
class host_resolver {
  public:
    using handler = std::function<void(const error_code&, const std::vector<tcp::endpoint>&)>;

    // Handlers run on context, which must outlive the resolver.
    explicit host_resolver(asio::io_context& context);
    // Lookups that are under way have no result.
    ~host_resolver();
    host_resolver(const host_resolver&) = delete;
    host_resolver& operator=(const host_resolver&) = delete;

    // done is called once, unless cancel() comes first. Throws std::system_error when there is no
    // thread for it. Returns a number for cancel().
    std::uint64_t resolve(const std::string& host, std::uint16_t port, handler done);
    // done will not be called. 0, and what has ended, is ignored.
    void cancel(std::uint64_t number) noexcept;

  private:
    struct state;
    std::shared_ptr<state> state_;
};

}  // namespace amqtt
