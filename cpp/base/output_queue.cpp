#include "base/output_queue.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>
#include <utility>

namespace amqtt {
namespace {

template <class T>
void keep_if_possible(std::vector<T>& kept, T one) noexcept {
    try {
        kept.push_back(std::move(one));
    } catch (const std::bad_alloc&) {  // then it is not kept
        return;
    }
}

// For n more; throws before anything has changed.
template <class T>
void make_room(std::vector<T>& in, std::size_t n) {
    if (in.capacity() - in.size() < n) in.reserve(std::max(in.capacity() * 2, in.size() + n));
}

}  // namespace

block_pool::block_pool() = default;

block_pool::~block_pool() = default;

block_pool::block block_pool::take(std::size_t size) {
    std::vector<block>& free = free_of(size);
    in_use_ += static_cast<std::ptrdiff_t>(size);
    if (free.empty()) return block(new std::uint8_t[size]);
    block b = std::move(free.back());
    free.pop_back();
    return b;
}

void block_pool::give_back(block b, std::size_t size) noexcept {
    in_use_ -= static_cast<std::ptrdiff_t>(size);
    keep(std::move(b), size);
}

void block_pool::keep(block b, std::size_t size) noexcept {
    std::vector<block>& free = free_of(size);
    if (b && free.size() < kept_at_most / size) keep_if_possible(free, std::move(b));
}

void block_pool::move_to(block_pool& other) {
    other.in_use_ += std::exchange(in_use_, 0);
    for (const std::size_t size : {small_block_size, block_size}) {
        std::vector<block>& free = free_of(size);
        if (other.free_of(size).empty()) other.free_of(size).swap(free);
        for (block& b : free)
            other.keep(std::move(b), size);
        free.clear();
    }
}

std::unique_ptr<output_list> block_pool::take_list() {
    if (free_lists_.empty()) return std::make_unique<output_list>();
    std::unique_ptr<output_list> list = std::move(free_lists_.back());
    free_lists_.pop_back();
    return list;
}

void block_pool::give_back_list(std::unique_ptr<output_list> list) noexcept {
    if (free_lists_.size() == kept_lists || list->segments.capacity() > kept_segments) return;
    list->segments.clear();
    list->head = 0;
    list->is_borrowing = false;
    keep_if_possible(free_lists_, std::move(list));
}

std::uint8_t* output_queue::allocate(std::size_t n) {
    assert(n <= block_pool::block_size);
    std::vector<output_segment>& segments = list().segments;
    const bool is_first = segments.size() == list_->head;
    if (is_first || segments.back().room < n) {
        output_segment fresh;
        fresh.block_size = is_first && n <= block_pool::small_block_size
                               ? block_pool::small_block_size
                               : block_pool::block_size;
        fresh.block = pool_->take(fresh.block_size);
        fresh.data = fresh.block.get();
        fresh.room = fresh.block_size;
        segments.push_back(std::move(fresh));
    }
    output_segment& last = segments.back();
    // The block is ours, only the view of it that leaves this class is const.
    auto* place = const_cast<std::uint8_t*>(last.data) + last.size;
    last.size += n;
    last.room -= n;
    size_ += n;
    return place;
}

void output_queue::append(bytes_view data) {
    while (!data.empty()) {
        const std::size_t left = size_ > 0 ? list_->segments.back().room : 0;
        const std::size_t room = left > 0 ? left : block_pool::block_size;
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
    list().segments.push_back(std::move(shared));
    size_ += data.size();
    pool_->share(data.size());
}

std::size_t output_queue::gather(std::span<bytes_view> slices) const noexcept {
    const auto next = waiting();
    const std::size_t n = std::min(slices.size(), next.size());
    for (std::size_t i = 0; i < n; ++i)
        slices[i] = {next[i].data, next[i].size};
    return n;
}

void output_queue::consume(std::size_t n) {
    assert(n <= size_);
    size_ -= n;
    while (n > 0) {
        output_segment& first = waiting().front();
        if (n < first.size) {
            if (first.owner) pool_->unshare(n);
            first.data += n;
            first.size -= n;
            break;
        }
        n -= first.size;
        pop_front();
    }
    if (size_ == 0) {
        clear();
        return;
    }
    // Keeps the dead prefix from growing in a queue that never runs empty.
    if (list_->head > 64 && list_->head * 2 > list_->segments.size()) {
        const auto begin = list_->segments.begin();
        list_->segments.erase(begin, begin + static_cast<std::ptrdiff_t>(list_->head));
        list_->head = 0;
    }
}

void output_queue::move_to(output_queue& other, std::size_t n) {
    assert(n <= size_);
    while (n > 0) {
        const output_segment& first = waiting().front();
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
    make_room(to, size_);
    for (const output_segment& each : waiting())
        to.insert(to.end(), each.data, each.data + each.size);
    clear();
}

std::size_t output_queue::hand_over(std::vector<output_segment>& to) {
    const auto all = waiting();
    make_room(to, all.size());
    for (output_segment& each : all)
        to.push_back(std::move(each));
    clear();
    return all.size();
}

void output_queue::take_over(std::span<output_segment> segments) {
    for (output_segment& each : segments) {
        size_ += each.size;
        list().segments.push_back(std::move(each));
    }
}

void output_queue::append_borrowed(bytes_view data) {
    assert(data.size() <= block_pool::block_size);
    if (data.empty()) return;
    output_segment borrowed;
    borrowed.data = data.data();
    borrowed.size = data.size();
    list().segments.push_back(std::move(borrowed));
    size_ += data.size();
    list_->is_borrowing = true;
}

void output_queue::keep_borrowed() {
    if (!list_ || !std::exchange(list_->is_borrowing, false)) return;
    for (output_segment& each : waiting()) {
        if (each.block || each.owner) continue;
        each.block = pool_->take();
        each.block_size = block_pool::block_size;
        std::memcpy(each.block.get(), each.data, each.size);
        each.data = each.block.get();
        each.room = block_pool::block_size - each.size;
    }
}

void output_queue::clear() {
    if (!list_) return;
    while (!waiting().empty())
        pop_front();
    pool_->give_back_list(std::move(list_));
    size_ = 0;
}

void output_queue::pop_front() {
    output_segment& first = waiting().front();
    if (first.block) pool_->give_back(std::move(first.block), first.block_size);
    if (first.owner) pool_->unshare(first.size);
    first.owner.reset();
    ++list_->head;
}

}  // namespace amqtt
