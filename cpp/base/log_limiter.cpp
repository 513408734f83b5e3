#include "base/log_limiter.hpp"

#include <algorithm>

#include "base/by_text.hpp"

namespace amqtt {
namespace {

constexpr std::size_t longest_name = 256;  // names of peers that begin alike are one

// Such as 1,203,442.
std::string with_commas(std::uint64_t number) {
    std::string digits = std::to_string(number);
    for (std::size_t at = digits.size(); at > 3;) {
        at -= 3;
        digits.insert(at, ",");
    }
    return digits;
}

}  // namespace

log_limiter::source* log_limiter::admit(const log_kind& kind, std::string_view peer, instant now) {
    advance(now);
    auto found = std::find_if(running_.begin(), running_.end(),
                              [&](const interval_of_kind& each) { return each.kind == &kind; });
    if (found == running_.end()) {
        found = running_.insert(found, {&kind, now});
        next_end_ = std::min(next_end_, now + interval);
    }
    interval_of_kind& current = *found;
    const std::uint64_t name = text_hash()(peer.substr(0, longest_name));
    auto& sources = current.sources;
    auto from = std::find_if(sources.begin(), sources.end(),
                             [&](const source& each) { return each.peer == name; });
    if (from == sources.end()) {
        if (current.lines >= kind.all) {
            ++current.others;
            return nullptr;
        }
        sources.push_back({name});
        from = sources.end() - 1;
    }
    if (from->lines >= kind.a_peer || current.lines >= kind.all) {
        ++from->more;
        return nullptr;
    }
    ++from->lines;
    ++current.lines;
    return &*from;
}

void log_limiter::end_intervals(instant now) {
    for (interval_of_kind& each : running_) {
        if (now >= each.begin + interval) log_counts(each, now);
    }
    std::erase_if(running_, [&](const auto& each) { return now >= each.begin + interval; });
    next_end_ = instant::max();
    for (const interval_of_kind& each : running_)
        next_end_ = std::min(next_end_, each.begin + interval);
}

void log_limiter::finish(instant now) {
    for (interval_of_kind& each : running_)
        log_counts(each, now);
    running_.clear();
    next_end_ = instant::max();
}

void log_limiter::log_counts(interval_of_kind& over, instant now) {
    const log_kind& kind = *over.kind;
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(now - over.begin).count();
    const std::string when = " in the last " + std::to_string(std::max<long>(seconds, 1)) + " s";
    for (source& each : over.sources) {
        if (each.more == 0) continue;
        each.last_line += " (and " + with_commas(each.more) + " more" + when + ")";
        write_(kind.level, std::move(each.last_line));
    }
    if (over.others > 0) {
        write_(kind.level, std::string(kind.name) + ": " + with_commas(over.others) +
                               " more of other clients" + when);
    }
}

std::size_t log_limiter::size() const noexcept {
    std::size_t sum = 0;
    for (const interval_of_kind& each : running_)
        sum += each.sources.size();
    return sum;
}

}  // namespace amqtt
