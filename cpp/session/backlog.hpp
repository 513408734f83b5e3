// What the queues, windows and gates of all sessions take of memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/message.hpp"

namespace amqtt {

// Messages count once, however many places have them, and places count where they are. One thread.
class backlog {
  public:
    // most: of bytes; 0: any number.
    explicit backlog(std::size_t most) noexcept
        : most_(most == 0 ? SIZE_MAX : most), most_for_all_(most_ - most_ / 8) {}
    backlog(const backlog&) = delete;
    backlog& operator=(const backlog&) = delete;

    // A place has a message from now on, or has it no more.
    void add(const message& m) noexcept {
        const std::size_t size = m.footprint();
        if (m.places_++ == 0) bytes_ += size;
    }
    void remove(const message& m) noexcept {
        const std::size_t size = m.footprint();
        if (--m.places_ == 0) bytes_ -= size;
    }
    // A table of places has another size.
    void resize(std::size_t from, std::size_t to) noexcept { bytes_ += to - from; }

    // Whether a session that has own bytes of it may have more. The last eighth is for those that
    // have little, so that a few that have much do not take it from all others. While there is
    // little in all, one message always has room, however large.
    bool has_room(std::size_t own, std::size_t more) const noexcept {
        return bytes_ + more <= most_for_all_ || bytes_ <= most_ / 8 ||
               (own + more <= little && bytes_ + more <= most_);
    }

    std::size_t bytes() const noexcept { return bytes_; }

  private:
    static constexpr std::size_t little = std::size_t{16} * 1024;

    std::size_t most_;
    std::size_t most_for_all_;
    std::size_t bytes_ = 0;
};

}  // namespace amqtt
