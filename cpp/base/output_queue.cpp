#include "base/output_queue.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

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

void block_pool::move_to(block_pool& other) {
    for (const std::size_t size : {small_block_size, block_size}) {
        std::vector<block>& free = free_of(size);
        if (other.free_of(size).empty()) other.free_of(size).swap(free);
        for (block& b : free)
            other.give_back(std::move(b), size);
        free.clear();
    }
}

std::uint8_t* output_queue::allocate(std::size_t n) {
    assert(n <= block_pool::block_size);
    const bool is_first = segments_.size() == head_;
    if (is_first || segments_.back().room < n) {
        output_segment fresh;
        fresh.block_size = is_first && n <= block_pool::small_block_size
                               ? block_pool::small_block_size
                               : block_pool::block_size;
        fresh.block = pool_->take(fresh.block_size);
        fresh.data = fresh.block.get();
        fresh.room = fresh.block_size;
        segments_.push_back(std::move(fresh));
    }
    output_segment& last = segments_.back();
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
    output_segment shared;
    shared.data = data.data();
    shared.size = data.size();
    shared.owner = std::move(owner);
    segments_.push_back(std::move(shared));
    size_ += data.size();
}

std::size_t output_queue::gather(std::span<bytes_view> slices) const noexcept {
    const std::size_t n = std::min(slices.size(), segments_.size() - head_);
    for (std::size_t i = 0; i < n; ++i) {
        const output_segment& s = segments_[head_ + i];
        slices[i] = {s.data, s.size};
    }
    return n;
}

void output_queue::consume(std::size_t n) {
    assert(n <= size_);
    size_ -= n;
    while (n > 0) {
        output_segment& first = segments_[head_];
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
        const output_segment& first = segments_[head_];
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

void output_queue::copy_out(std::vector<std::uint8_t>& to) {
    for (std::size_t i = head_; i < segments_.size(); ++i)
        to.insert(to.end(), segments_[i].data, segments_[i].data + segments_[i].size);
    clear();
}

std::size_t output_queue::hand_over(std::vector<output_segment>& to) {
    const std::size_t count = segments_.size() - head_;
    for (std::size_t i = head_; i < segments_.size(); ++i)
        to.push_back(std::move(segments_[i]));
    head_ = segments_.size();
    clear();
    return count;
}

void output_queue::take_over(std::span<output_segment> segments) {
    for (output_segment& each : segments) {
        size_ += each.size;
        segments_.push_back(std::move(each));
    }
}

void output_queue::append_borrowed(bytes_view data) {
    assert(data.size() <= block_pool::block_size);
    if (data.empty()) return;
    output_segment borrowed;
    borrowed.data = data.data();
    borrowed.size = data.size();
    segments_.push_back(std::move(borrowed));
    size_ += data.size();
    is_borrowing_ = true;
}

void output_queue::keep_borrowed() {
    if (!std::exchange(is_borrowing_, false)) return;
    for (std::size_t i = head_; i < segments_.size(); ++i) {
        output_segment& each = segments_[i];
        if (each.block || each.owner) continue;
        each.block = pool_->take();
        each.block_size = block_pool::block_size;
        std::memcpy(each.block.get(), each.data, each.size);
        each.data = each.block.get();
        each.room = block_pool::block_size - each.size;
    }
}

void output_queue::clear() {
    while (head_ < segments_.size())
        pop_front();
    segments_.clear();
    is_borrowing_ = false;
    // An idle connection keeps room for a few segments only.
    if (segments_.capacity() > 16) segments_.shrink_to_fit();
    head_ = 0;
    size_ = 0;
}

void output_queue::pop_front() {
    output_segment& first = segments_[head_];
    if (first.block) pool_->give_back(std::move(first.block), first.block_size);
    first.owner.reset();
    ++head_;
}

}  // namespace amqtt
