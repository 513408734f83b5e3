#include "protocol/gated_output.hpp"

namespace amqtt {

bool gated_output::may_pass(send_class what) const noexcept {
    switch (what) {
        case send_class::control:
            return !waiting_->connack_waits;
        case send_class::publish:
            return !waiting_->connack_waits && !waiting_->publish_waits;
        default:
            return false;
    }
}

output_queue& gated_output::place_behind(send_class what) {
    const std::uint64_t number = what == send_class::control ? 0 : number_;
    if (number == 0 && (!waiting_ || may_pass(what))) return ready_;
    if (!waiting_) waiting_ = std::make_unique<waiting>(ready_.pool());
    waiting& w = *waiting_;
    if (w.marks.empty() || w.marks.back().number < number) {
        w.marks.push_back({number, w.released + w.output.size()});
    }
    w.publish_waits |= what == send_class::publish || what == send_class::answer;
    w.connack_waits |= what == send_class::connack;
    return w.output;
}

bool gated_output::release(std::uint64_t number) {
    if (!waiting_ || waiting_->marks.front().number > number) return false;
    waiting& w = *waiting_;
    std::size_t gone = 0;
    while (gone < w.marks.size() && w.marks[gone].number <= number)
        ++gone;
    if (gone == w.marks.size()) {
        w.output.move_to(ready_, w.output.size());
        waiting_.reset();
        return true;
    }
    const auto size = static_cast<std::size_t>(w.marks[gone].begin - w.released);
    w.output.move_to(ready_, size);
    w.released += size;
    w.marks.erase(w.marks.begin(), w.marks.begin() + static_cast<std::ptrdiff_t>(gone));
    return true;
}

}  // namespace amqtt
