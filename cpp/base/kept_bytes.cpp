#include "base/kept_bytes.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <sys/mman.h>

namespace amqtt {
namespace {

// Less than this is left to the allocator: a mapping costs system calls and page faults.
constexpr std::size_t least_mapping = 32 * 1024;
constexpr std::size_t least_allocation = 64;
constexpr std::size_t page = 4096;

std::size_t in_pages(std::size_t size) noexcept {
    return (size + page - 1) / page * page;
}

std::uint8_t* map_pages(std::size_t size) {
    void* const made =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) throw std::bad_alloc();
    return static_cast<std::uint8_t*>(made);
}

}  // namespace

std::size_t kept_bytes::footprint() const noexcept {
    return is_mapped_ ? in_pages(touched_) : capacity_;
}

void kept_bytes::append(bytes_view more, std::size_t expected) {
    if (more.empty()) return;
    const std::size_t wanted = size_ + more.size();
    if (wanted > capacity_) {
        // Never more than there will be, and not all of it at once: peers announce what they like.
        grow(std::max(wanted, std::min(2 * capacity_, expected)));
    }
    std::memcpy(data_ + size_, more.data(), more.size());
    size_ = wanted;
    touched_ = std::max(touched_, size_);
}

void kept_bytes::drop_front(std::size_t n) {
    if (n == 0) return;
    const bytes_view rest = view().subspan(n);
    if (is_mapped_ && in_pages(rest.size()) * 4 <= in_pages(touched_)) {
        kept_bytes smaller;
        smaller.append(rest, rest.size());
        swap(smaller);
        return;
    }
    std::memmove(data_, rest.data(), rest.size());
    size_ = rest.size();
}

void kept_bytes::grow(std::size_t capacity) {
    if (capacity < least_mapping) {
        capacity = std::max(capacity, least_allocation);
        auto* const made = static_cast<std::uint8_t*>(::operator new(capacity));
        if (size_ != 0) std::memcpy(made, data_, size_);
        free_memory();
        data_ = made;
        capacity_ = capacity;
        return;
    }
    capacity = in_pages(capacity);
    // ThreadSanitizer does not see that call, and takes the place for its last owner's.
#if defined(__linux__) && !defined(__SANITIZE_THREAD__)
    if (is_mapped_) {
        void* const moved = ::mremap(data_, capacity_, capacity, MREMAP_MAYMOVE);
        if (moved == MAP_FAILED) throw std::bad_alloc();
        data_ = static_cast<std::uint8_t*>(moved);
        capacity_ = capacity;
        return;
    }
#endif
    std::uint8_t* const made = map_pages(capacity);
    if (size_ != 0) std::memcpy(made, data_, size_);
    free_memory();
    data_ = made;
    capacity_ = capacity;
    touched_ = size_;
    is_mapped_ = true;
}

void kept_bytes::free_memory() noexcept {
    if (is_mapped_) {
        ::munmap(data_, capacity_);
    } else {
        ::operator delete(data_);
    }
    is_mapped_ = false;
}

}  // namespace amqtt
