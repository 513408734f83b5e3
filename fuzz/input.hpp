// Takes what a fuzz target needs off the front of its input.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"

namespace amqtt::fuzz {

class input {
  public:
    input(const std::uint8_t* data, std::size_t size) noexcept : rest_(data, size) {}

    bool empty() const noexcept { return rest_.empty(); }
    std::uint8_t byte() noexcept {
        if (rest_.empty()) return 0;
        const std::uint8_t value = rest_.front();
        rest_ = rest_.subspan(1);
        return value;
    }
    // A number from 0 to limit - 1; 0 at the end of the input.
    unsigned number(unsigned limit) noexcept {
        const unsigned high = limit > 256 ? byte() : 0U;
        return (high << 8U | byte()) % limit;
    }
    // Fewer at the end of the input.
    bytes_view bytes(std::size_t n) noexcept {
        const bytes_view value = rest_.first(std::min(n, rest_.size()));
        rest_ = rest_.subspan(value.size());
        return value;
    }
    bytes_view rest() noexcept { return bytes(rest_.size()); }

  private:
    bytes_view rest_;
};

// What must hold for any input.
inline void check(bool holds) {
    if (!holds) std::abort();
}

}  // namespace amqtt::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
