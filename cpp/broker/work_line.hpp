// Those who have more to do than one turn admits stand in line for the next one.
#pragma once

#include <cstddef>
#include <cstdint>

#include <boost/intrusive/list.hpp>

namespace amqtt {

// A place is embedded in its owner, and leaves the line when that is destroyed.
struct place_in_line
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    enum class kind : std::uint8_t {
        client,        // input that was received is left
        session,       // retained or queued messages are left
        publications,  // of the broker itself
        ended,         // a session whose subscriptions and messages are left
        timers,        // that are due
    };

    place_in_line(kind of, void* whose) noexcept : what(of), owner(whose) {}

    void leave() noexcept {
        if (is_linked()) unlink();
    }

    kind what;
    void* owner;
};

// Clients that may stand in line beside each other, each with what was read from it at once. Were
// there more, what they have sent is looked at to its end.
inline constexpr std::size_t most_in_line = 256;

using work_line =
    boost::intrusive::list<place_in_line, boost::intrusive::constant_time_size<false>>;

}  // namespace amqtt
