// What Python was asked and has not answered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>

namespace amqtt {

// How many questions may be open at once, and how many bytes they may take here and in Python.
struct question_limits {
    std::size_t count = 10'000;
    std::size_t bytes = 64 * 1024 * 1024;
};

// By ticket. A question is open until it is answered, whatever becomes of the client that it is
// about: until then Python has what it was asked with. Unless it is taken back before Python has
// looked at it.
class open_questions {
  public:
    explicit open_questions(question_limits limits) noexcept : limits_(limits) {}

    bool has_room(std::size_t bytes) const noexcept {
        return by_ticket_.size() < limits_.count && bytes_ + bytes <= limits_.bytes;
    }
    // take_back: takes the content out of the question; false when Python has it. Empty: never.
    // is_first: Python has not seen the ticket before.
    void add(std::uint64_t ticket, std::size_t bytes, std::function<bool()> take_back = {},
             bool is_first = true) {
        by_ticket_.insert_or_assign(ticket, question{bytes, std::move(take_back), is_first});
        bytes_ += bytes;
    }
    // Python has answered. False when there is no such question.
    bool answered(std::uint64_t ticket) {
        const auto it = by_ticket_.find(ticket);
        if (it == by_ticket_.end()) return false;
        bytes_ -= it->second.bytes;
        by_ticket_.erase(it);
        return true;
    }
    // Nobody waits for the answer any more. True: Python has not seen the ticket and never will.
    bool withdraw(std::uint64_t ticket) {
        const auto it = by_ticket_.find(ticket);
        if (it == by_ticket_.end() || !it->second.take_back || !it->second.take_back()) {
            return false;
        }
        const bool is_first = it->second.is_first;
        answered(ticket);
        return is_first;
    }

    std::size_t size() const noexcept { return by_ticket_.size(); }
    std::size_t bytes() const noexcept { return bytes_; }

  private:
    struct question {
        std::size_t bytes = 0;
        std::function<bool()> take_back;
        bool is_first = true;
    };

    question_limits limits_;
    std::size_t bytes_ = 0;
    boost::unordered_flat_map<std::uint64_t, question> by_ticket_;
};

}  // namespace amqtt
