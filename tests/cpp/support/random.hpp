#pragma once

#include <random>

namespace amqtt::test {

// A number from 0 to limit - 1.
inline unsigned below(std::mt19937& random, unsigned limit) {
    return static_cast<unsigned>(random() % limit);
}

}  // namespace amqtt::test
