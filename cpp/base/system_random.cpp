#include "base/system_random.hpp"

#include <random>

namespace amqtt {

system_random::result_type system_random::operator()() const {
    std::random_device source;  // of the processor or the kernel
    return result_type{source()} << 32 | source();
}

}  // namespace amqtt
