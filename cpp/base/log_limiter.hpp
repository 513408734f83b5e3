// Lines of the log that peers can cause, as many as they like. Of each kind and peer a few are
// logged in an interval, and of each kind not many more; the rest is counted, and the counts are
// logged when the interval ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "base/time.hpp"

namespace amqtt {

// What lines say. Declare one constant with static storage for each kind: it is known by its
// address.
struct log_kind {
    log_level level;
    const char* name;          // as in "refused connections: 12 more of other clients"
    std::uint32_t a_peer = 5;  // lines of one peer in an interval
    std::uint32_t all = 50;    // lines of all peers in an interval
};

class log_limiter {
  public:
    static constexpr duration interval = std::chrono::seconds(10);
    using writer = std::function<void(log_level, std::string)>;

    explicit log_limiter(writer write) : write_(std::move(write)) {}

    // Logs what make_text() returns, or counts it. peer: its client identifier, or its address as
    // long as it has none. Texts of peers within the line must be printable().
    template <class MakeText>
    void log(const log_kind& kind, std::string_view peer, instant now, MakeText&& make_text) {
        source* const from = admit(kind, peer, now);
        if (!from) return;
        from->last_line = make_text();
        write_(kind.level, from->last_line);
    }
    template <class MakeText>
    void log(log_kind&&, std::string_view, instant, MakeText&&) = delete;

    // Logs the counts of intervals that are over; to be called every second or so.
    void advance(instant now) {
        if (now >= next_end_) end_intervals(now);
    }
    // Logs all counts, because there will be no advance() any more.
    void finish(instant now);

    // How many peers it remembers: at most log_kind::all of each kind.
    std::size_t size() const noexcept;

  private:
    struct source {
        std::uint64_t peer;  // hash of its name
        std::uint32_t lines = 0;
        std::uint64_t more = 0;  // not logged
        std::string last_line = {};
    };
    struct interval_of_kind {
        const log_kind* kind;
        instant begin;
        std::uint32_t lines = 0;
        std::uint64_t others = 0;  // of peers that are not in sources
        std::vector<source> sources = {};
    };

    // Nullptr: counted, do not log.
    source* admit(const log_kind& kind, std::string_view peer, instant now);
    void end_intervals(instant now);
    void log_counts(interval_of_kind& over, instant now);

    writer write_;
    std::vector<interval_of_kind> running_;  // there are few kinds
    instant next_end_ = instant::max();
};

}  // namespace amqtt
