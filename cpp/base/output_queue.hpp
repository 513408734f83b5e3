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

struct output_list;

// What connections of one thread need for their output, recycled among them. Not thread-safe.
// There are blocks of two sizes. The small ones are for connections that are sent little at a time:
// with blocks of one size, a message to a thousand subscribers would touch a thousand pages.
class block_pool {
  public:
    block_pool();
    ~block_pool();
    block_pool(const block_pool&) = delete;
    block_pool& operator=(const block_pool&) = delete;

    static constexpr std::size_t block_size = 16 * 1024;
    static constexpr std::size_t small_block_size = 1024;
    using block = std::unique_ptr<std::uint8_t[]>;

    // size is one of the two.
    block take(std::size_t size = block_size);
    void give_back(block b, std::size_t size = block_size) noexcept;
    // Gives all blocks that were given back to another pool, and what this one has counted.
    void move_to(block_pool& other);
    // Bytes of messages that output shares, counted for each connection.
    void share(std::size_t n) noexcept { in_use_ += static_cast<std::ptrdiff_t>(n); }
    void unshare(std::size_t n) noexcept { in_use_ -= static_cast<std::ptrdiff_t>(n); }
    // What output takes: blocks that were taken, and what is shared. Of several pools that hand
    // output on to each other only the sum tells, as each counts what is taken and given back
    // there.
    std::size_t in_use() const noexcept {
        return in_use_ > 0 ? static_cast<std::size_t>(in_use_) : 0;
    }
    // An empty list, and back again.
    std::unique_ptr<output_list> take_list();
    void give_back_list(std::unique_ptr<output_list> list) noexcept;

  private:
    void keep(block b, std::size_t size) noexcept;

    static constexpr std::size_t kept_at_most = 4 * 1024 * 1024;  // bytes of each size
    static constexpr std::size_t kept_lists = 4096;
    static constexpr std::size_t kept_segments = 64;  // room of a list that is kept

    std::vector<block>& free_of(std::size_t size) noexcept {
        return size == block_size ? free_ : free_small_;
    }

    std::vector<block> free_;
    std::vector<block> free_small_;
    std::ptrdiff_t in_use_ = 0;
    std::vector<std::unique_ptr<output_list>> free_lists_;
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

// What waits in an output_queue.
struct output_list {
    std::vector<output_segment> segments;
    std::size_t head = 0;  // first segment not yet consumed
    bool is_borrowing = false;
};

// Has no more than a pointer for what waits while nothing does: most connections are idle.
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

    block_pool& pool() const noexcept { return *pool_; }
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
    output_list& list() {
        if (!list_) list_ = pool_->take_list();
        return *list_;
    }
    // What waits.
    std::span<output_segment> waiting() const noexcept {
        return list_ ? std::span(list_->segments).subspan(list_->head)
                     : std::span<output_segment>();
    }
    void pop_front();

    block_pool* pool_;
    std::unique_ptr<output_list> list_;
    std::size_t size_ = 0;
};

}  // namespace amqtt
