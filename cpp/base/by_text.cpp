#include "base/by_text.hpp"

#include <random>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace amqtt {
namespace {

std::uint64_t random_seed() {
    std::random_device source;
    return std::uint64_t{source()} << 32 | source();
}

const std::uint64_t seed = random_seed();

}  // namespace

std::size_t text_hash::operator()(std::string_view text) const noexcept {
    return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

}  // namespace amqtt
