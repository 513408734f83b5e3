#include "base/system_random.hpp"

#include <random>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

namespace amqtt {

system_random::result_type system_random::operator()() const {
    result_type number = 0;
    if (::getentropy(&number, sizeof number) == 0) return number;
    std::random_device other;  // the kernel is older than the call
    return result_type{other()} << 32 | other();
}

}  // namespace amqtt
