#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/bytes.hpp"

namespace amqtt {

// Bytes that are kept until more have come. The allocator keeps large chunks that come and go for
// use again; here they are of the system, page by page as they are filled, and go back to it.
class kept_bytes {
  public:
    kept_bytes() = default;
    ~kept_bytes() { free_memory(); }
    kept_bytes(kept_bytes&& other) noexcept { swap(other); }
    kept_bytes& operator=(kept_bytes&& other) noexcept {
        swap(other);
        return *this;
    }

    std::size_t size() const noexcept { return size_; }
    bytes_view view() const noexcept { return {data_, size_}; }
    // The memory that it takes.
    std::size_t footprint() const noexcept;

    // expected: how many there will be in the end, as far as that is known. Throws std::bad_alloc.
    void append(bytes_view more, std::size_t expected);
    // Forgets the first n.
    void drop_front(std::size_t n);

  private:
    void swap(kept_bytes& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        std::swap(touched_, other.touched_);
        std::swap(is_mapped_, other.is_mapped_);
    }
    void grow(std::size_t capacity);
    void free_memory() noexcept;

    std::uint8_t* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
    std::size_t touched_ = 0;  // of what is mapped: the system has given memory for it
    bool is_mapped_ = false;
};

}  // namespace amqtt
