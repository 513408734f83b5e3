// What things take of memory, for the bounds of stores that peers can fill.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>

namespace amqtt {

// Bytes that an allocation of n bytes takes with what the allocator adds, as glibc's does.
constexpr std::size_t allocated(std::size_t n) noexcept {
    return n == 0 ? 0 : std::max<std::size_t>(32, (n + 8 + 15) / 16 * 16);
}

// Of the text of a string, beyond the string itself.
template <class String>
std::size_t text_bytes(const String& text) noexcept {
    constexpr std::size_t inside = 15;  // shorter ones need no allocation
    return text.capacity() <= inside ? 0 : allocated(text.capacity() + 1);
}

// Of the slots of a flat hash table, whether they are in use or not, beyond the table itself.
template <class Table>
std::size_t table_bytes(const Table& table) noexcept {
    const std::size_t slots = table.bucket_count();
    if (slots == 0) return 0;
    // Fifteen slots share sixteen bytes.
    return allocated(slots * sizeof(typename Table::value_type) + (slots / 15 + 1) * 16 + 16);
}

// Gives memory back when few slots of a hash table are in use: by themselves they never become
// fewer. To be called after an element was erased; moves all others.
template <class Table>
void shrink_if_sparse(Table& table) noexcept {
    constexpr std::size_t small = 64;
    if (table.bucket_count() <= small || table.size() > table.bucket_count() / 8) return;
    try {
        table.rehash(0);
    } catch (const std::bad_alloc&) {
        return;  // it is as good as it was
    }
}

}  // namespace amqtt
