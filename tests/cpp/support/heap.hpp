// What the process has allocated, for tests of what stores count.
#pragma once

#include <cstddef>
#include <optional>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <malloc.h>
#endif

namespace amqtt::test {

// Bytes in use, with what the allocator adds; nothing where that cannot be told.
inline std::optional<std::size_t> heap_in_use() {
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    __GLIBC_PREREQ(2, 33)
    const struct mallinfo2 now = mallinfo2();
    return now.uordblks + now.hblkhd;
#else
    return std::nullopt;
#endif
}

// How many times the bytes that were counted are in use beyond those of before; 1 where that cannot
// be told.
inline double real_per_counted(const std::optional<std::size_t>& before, std::size_t counted) {
    const std::optional<std::size_t> now = heap_in_use();
    if (!before || !now) return 1.0;
    return (static_cast<double>(*now) - static_cast<double>(*before)) /
           static_cast<double>(counted);
}

}  // namespace amqtt::test
