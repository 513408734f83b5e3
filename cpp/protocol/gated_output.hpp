// The output of a connection, of which some may not leave before something else has happened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/output_queue.hpp"

namespace amqtt {

// Acknowledgements keep their order, and so do messages; CONNACK is first. Else a packet need not
// wait behind others. What is in `control` depends on nothing that is stored, so that it waits for
// CONNACK only, whatever is being held back.
enum class send_class : std::uint8_t {
    control,          // PINGRESP, AUTH, DISCONNECT
    publish,          // PUBLISH
    acknowledgement,  // PUBACK, PUBREC, PUBREL, PUBCOMP
    answer,           // SUBACK, UNSUBACK
    connack,
};

class gated_output {
  public:
    // The pool must outlive it.
    explicit gated_output(block_pool& pool) noexcept : ready_(pool) {}

    // What is placed from now on waits for release(number) or a later one; 0: for nothing.
    void hold_for(std::uint64_t number) noexcept { number_ = number; }
    // Where the next packet is to be appended, at once and whole.
    output_queue& place(send_class what) {
        return number_ == 0 && !waiting_ ? ready_ : place_behind(what);
    }
    // Lets go what waits for number or an earlier one; true if that was anything.
    bool release(std::uint64_t number);
    // Forgets what waits.
    void drop_waiting() noexcept { waiting_.reset(); }

    bool is_waiting() const noexcept { return waiting_ != nullptr; }
    // While CONNACK waits: the number that lets go all that waits with it; else 0.
    std::uint64_t connack_and_rest() const noexcept {
        return waiting_ && waiting_->connack_waits ? waiting_->marks.back().number : 0;
    }
    // What waits included, and what is on its way.
    std::size_t size() const noexcept {
        return ready_.size() + on_its_way_ + (waiting_ ? waiting_->output.size() : 0);
    }
    // n bytes of what was ready were handed to another thread that sends them; until arrived()
    // they count as output.
    void handed_over(std::size_t n) noexcept { on_its_way_ += n; }
    // n of those were sent.
    void arrived(std::size_t n) noexcept { on_its_way_ -= n; }
    // The other thread will send nothing more.
    void all_arrived() noexcept { on_its_way_ = 0; }
    output_queue& ready() noexcept { return ready_; }
    const output_queue& ready() const noexcept { return ready_; }

  private:
    struct mark {
        std::uint64_t number;
        std::uint64_t begin;  // of its first byte, counted from the first that ever waited here
    };
    struct waiting {
        explicit waiting(block_pool& pool) noexcept : output(pool) {}

        output_queue output;
        std::uint64_t released = 0;  // bytes that are not in output any more
        std::vector<mark> marks;
        bool publish_waits = false;  // or an answer, which messages follow too
        bool connack_waits = false;
    };

    output_queue& place_behind(send_class what);
    bool may_pass(send_class what) const noexcept;

    output_queue ready_;
    std::unique_ptr<waiting> waiting_;
    std::uint64_t number_ = 0;
    std::size_t on_its_way_ = 0;
};

}  // namespace amqtt
