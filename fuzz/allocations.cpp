#include "allocations.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace {

// In front of each block, as large as the strictest alignment that operator new promises.
constexpr std::size_t header_size = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

// Targets have one thread.
std::size_t in_use = 0;
std::size_t peak = 0;

void* take(std::size_t size) noexcept {
    auto* block = static_cast<std::size_t*>(std::malloc(size + header_size));
    if (!block) return nullptr;
    *block = size;
    in_use += size;
    peak = std::max(peak, in_use);
    return reinterpret_cast<char*>(block) + header_size;
}

void give_back(void* memory) noexcept {
    if (!memory) return;
    void* block = static_cast<char*>(memory) - header_size;
    in_use -= *static_cast<std::size_t*>(block);
    std::free(block);
}

}  // namespace

void* operator new(std::size_t size) {
    if (void* memory = take(size)) return memory;
    throw std::bad_alloc();
}
void* operator new[](std::size_t size) {
    return operator new(size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return take(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return take(size);
}
void operator delete(void* memory) noexcept {
    give_back(memory);
}
void operator delete[](void* memory) noexcept {
    give_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    give_back(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    give_back(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
    give_back(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
    give_back(memory);
}

namespace amqtt::fuzz {
namespace {

// A Subscription Identifier has two bytes in a packet; in memory it is a property of 48, in a list
// that has twice the room it needs while the one before, of half that, is still there.
constexpr std::size_t bytes_a_byte = 48 / 2 * 3;

}  // namespace

std::size_t allocated() noexcept {
    return in_use;
}

allocation_bound::allocation_bound(std::size_t received, std::size_t fixed) noexcept
    : before_(in_use), bound_(in_use + fixed + received * bytes_a_byte) {
    peak = in_use;
}

allocation_bound::~allocation_bound() {
    if (peak <= bound_) return;
    std::fprintf(stderr, "%zu bytes were in use at a time, at most %zu are justified\n",
                 peak - before_, bound_ - before_);
    std::abort();
}

}  // namespace amqtt::fuzz
