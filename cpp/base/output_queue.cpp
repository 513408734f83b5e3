#include "base/output_queue.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace amqtt {

block_pool::block block_pool::take(std::size_t size) {
    std::vector<block>& free = free_of(size);
    if (free.empty()) return block(new std::uint8_t[size]);
    block b = std::move(free.back());
    free.pop_back();
    return b;
}

void block_pool::give_back(block b, std::size_t size) {
    std::vector<block>& free = free_of(size);
    if (b && free.size() < kept_at_most / size) free.push_back(std::move(b));
}

std::uint8_t* output_queue::allocate(std::size_t n) {
    assert(n <= block_pool::block_size);
    const bool is_first = segments_.size() == head_;
    if (is_first || segments_.back().room < n) {
        segment fresh;
        fresh.block_size = is_first && n <= block_pool::small_block_size
                               ? block_pool::small_block_size
                               : block_pool::block_size;
        fresh.block = pool_->take(fresh.block_size);
        fresh.data = fresh.block.get();
        fresh.room = fresh.block_size;
        segments_.push_back(std::move(fresh));
    }
    segment& last = segments_.back();
    // The block is ours, only the view of it that leaves this class is const.
    auto* place = const_cast<std::uint8_t*>(last.data) + last.size;
    last.size += n;
    last.room -= n;
    size_ += n;
    return place;
}

void output_queue::append(bytes_view data) {
    while (!data.empty()) {
        const bool has_room = segments_.size() != head_ && segments_.back().room > 0;
        const std::size_t room = has_room ? segments_.back().room : block_pool::block_size;
        const std::size_t n = std::min(room, data.size());
        std::memcpy(allocate(n), data.data(), n);
        data = data.subspan(n);
    }
}

void output_queue::append_shared(message_ptr owner, bytes_view data) {
    if (data.empty()) return;
    segment shared;
    shared.data = data.data();
    shared.size = data.size();
    shared.owner = std::move(owner);
    segments_.push_back(std::move(shared));
    size_ += data.size();
}

std::size_t output_queue::gather(std::span<bytes_view> slices) const noexcept {
    const std::size_t n = std::min(slices.size(), segments_.size() - head_);
    for (std::size_t i = 0; i < n; ++i) {
        const segment& s = segments_[head_ + i];
        slices[i] = {s.data, s.size};
    }
    return n;
}

void output_queue::consume(std::size_t n) {
    assert(n <= size_);
    size_ -= n;
    while (n > 0) {
        segment& first = segments_[head_];
        if (n < first.size) {
            first.data += n;
            first.size -= n;
            break;
        }
        n -= first.size;
        pop_front();
    }
    if (size_ == 0) clear();
    // Keeps the dead prefix from growing in a queue that never runs empty.
    if (head_ > 64 && head_ * 2 > segments_.size()) {
        segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(head_));
        head_ = 0;
    }
}

void output_queue::move_to(output_queue& other, std::size_t n) {
    assert(n <= size_);
    while (n > 0) {
        const segment& first = segments_[head_];
        const std::size_t part = std::min(n, first.size);
        if (first.owner) {
            other.append_shared(first.owner, {first.data, part});
        } else {
            other.append({first.data, part});
        }
        consume(part);
        n -= part;
    }
}

void output_queue::clear() {
    while (head_ < segments_.size())
        pop_front();
    segments_.clear();
    // An idle connection keeps room for a few segments only.
    if (segments_.capacity() > 16) segments_.shrink_to_fit();
    head_ = 0;
    size_ = 0;
}

void output_queue::pop_front() {
    segment& first = segments_[head_];
    if (first.block) pool_->give_back(std::move(first.block), first.block_size);
    first.owner.reset();
    ++head_;
}

}  // namespace amqtt
