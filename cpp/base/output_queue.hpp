// Bytes on their way to a peer: small frames copied into blocks, large payloads by reference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/message.hpp"

namespace amqtt {

// Blocks of two sizes, recycled among the connections of one thread. Not thread-safe. The small
// ones are for connections that are sent little at a time: with blocks of one size, a message to a
// thousand subscribers would touch a thousand pages.
class block_pool {
  public:
    static constexpr std::size_t block_size = 16 * 1024;
    static constexpr std::size_t small_block_size = 1024;
    using block = std::unique_ptr<std::uint8_t[]>;

    // size is one of the two.
    block take(std::size_t size = block_size);
    void give_back(block b, std::size_t size = block_size);
    // Gives all that were given back to another pool.
    void move_to(block_pool& other);

  private:
    static constexpr std::size_t kept_at_most = 4 * 1024 * 1024;  // bytes of each size

    std::vector<block>& free_of(std::size_t size) noexcept {
        return size == block_size ? free_ : free_small_;
    }

    std::vector<block> free_;
    std::vector<block> free_small_;
};

// Bytes that lie together: in a block of a pool, or in a message.
struct output_segment {
    const std::uint8_t* data = nullptr;
    std::size_t size = 0;
    block_pool::block block;     // set when the bytes are in a block
    std::size_t block_size = 0;  // of that block
    std::size_t room = 0;        // what is left behind data + size in it
    message_ptr owner;           // set when the bytes are in a message; neither: they are borrowed
};

class output_queue {
  public:
    // The pool must outlive the queue.
    explicit output_queue(block_pool& pool) noexcept : pool_(&pool) {}
    ~output_queue() { clear(); }
    output_queue(const output_queue&) = delete;
    output_queue& operator=(const output_queue&) = delete;

    // Room for n contiguous bytes (n <= block_pool::block_size), to be written at once.
    std::uint8_t* allocate(std::size_t n);
    void append(bytes_view data);
    // Queues data without copying it; owner keeps it alive until it is consumed.
    void append_shared(message_ptr owner, bytes_view data);

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

    // Fills slices with what goes out next and returns how many were filled.
    std::size_t gather(std::span<bytes_view> slices) const noexcept;
    // Forgets the first n bytes, which were sent.
    void consume(std::size_t n);
    // Appends the first n bytes to another queue and forgets them here.
    void move_to(output_queue& other, std::size_t n);
    // Appends everything to `to` and forgets it here.
    void copy_out(std::vector<std::uint8_t>& to);
    // Moves everything to the end of `to`, blocks and all, for another thread to send. Returns how
    // many segments that were.
    std::size_t hand_over(std::vector<output_segment>& to);
    // Appends what another queue has handed over; its blocks end in the pool of this one.
    void take_over(std::span<output_segment> segments);
    // Queues data without copying it, for a short time: until keep_borrowed(). For a block at most.
    void append_borrowed(bytes_view data);
    // Copies what is left of that.
    void keep_borrowed();
    void clear();

  private:
    void pop_front();

    block_pool* pool_;
    std::vector<output_segment> segments_;
    std::size_t head_ = 0;  // first segment not yet consumed
    std::size_t size_ = 0;
    bool is_borrowing_ = false;
};

}  // namespace amqtt
