// What becomes of a client, and of everybody else, when there is no memory.
//
// Whatever serves a client may throw std::bad_alloc. The transport closes the connection whose
// input or output it was at work on. Where the broker itself turns to other clients, fail() notes
// that one of them is to go, so that no loop over clients, sessions or routes is disturbed, and the
// others are served. The end of a client and of a session is made of steps of which each is done
// whatever the others throw, so nothing refers to what is gone.
#include <exception>
#include <string>

#include "broker/broker.hpp"
#include "broker/log_kinds.hpp"

namespace amqtt {

void broker::fail(client& c) noexcept {
    log_failure();
    if (c.phase == client_phase::closing) return;
    // Half a packet may be in its output, so nothing of that leaves any more.
    c.has_failed = true;
    when_due<&broker::end_failed>(c.idle, c);
    timers_.set(c.idle, now_);
}

void broker::log_failure() noexcept {
    try {
        peer_log_.log(log_kinds::failure, {}, now_, [] {
            std::string what = "an unknown exception";
            try {
                throw;
            } catch (const std::exception& error) {
                what = error.what();
            } catch (...) {  // NOLINT(bugprone-empty-catch): what says so
            }
            return "out of memory, or worse: " + what + "; the client at fault is disconnected";
        });
    } catch (...) {  // the next one is logged
        return;
    }
}

}  // namespace amqtt
