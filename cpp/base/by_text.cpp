#include "base/by_text.hpp"

#include "base/system_random.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace amqtt {
namespace {

const std::uint64_t seed = system_random()();

}  // namespace

std::size_t text_hash::operator()(std::string_view text) const noexcept {
    return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

}  // namespace amqtt
