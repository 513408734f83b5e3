// Counts what is allocated while a target runs.
#pragma once

#include <cstddef>

namespace amqtt::fuzz {

// Bytes from operator new that are in use.
std::size_t allocated() noexcept;

// Fails the run if more memory was in use at one time than what was received justifies: a fixed
// sum, and for each byte as much as the smallest property takes when its list grows.
class allocation_bound {
  public:
    explicit allocation_bound(std::size_t received, std::size_t fixed = 64 * 1024) noexcept;
    ~allocation_bound();
    allocation_bound(const allocation_bound&) = delete;
    allocation_bound& operator=(const allocation_bound&) = delete;

  private:
    std::size_t before_;
    std::size_t bound_;
};

}  // namespace amqtt::fuzz
