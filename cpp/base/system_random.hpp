#pragma once

#include <cstdint>
#include <limits>

namespace amqtt {

// Random numbers of the operating system, which nobody can predict. For what is needed seldom: each
// number is a system call. Meets the requirements of std::uniform_random_bit_generator.
class system_random {
  public:
    using result_type = std::uint64_t;

    static constexpr result_type min() noexcept { return 0; }
    static constexpr result_type max() noexcept { return std::numeric_limits<result_type>::max(); }
    result_type operator()() const;
};

}  // namespace amqtt
