#include "broker/input_ledger.hpp"

#include <algorithm>
#include <bit>

namespace amqtt {

void input_ledger::change(client& c, std::size_t kept) noexcept {
    bytes_[c.kept_as_admitted ? 1 : 0] -= c.kept_input;
    c.among_kept.unlink();
    c.kept_input = kept;
    c.kept_as_admitted = is_admitted(c);
    const std::size_t kind = c.kept_as_admitted ? 1 : 0;
    bytes_[kind] += kept;
    if (kept < least) return;
    const auto size_class = static_cast<std::size_t>(std::bit_width(kept / least)) - 1;
    holders_[kind][std::min(size_class, class_count - 1)].push_back(c);
}

client* input_ledger::over_bound() noexcept {
    for (std::size_t kind = 0; kind < bytes_.size(); ++kind) {
        if (bytes_[kind] <= bounds_[kind]) continue;
        const auto has_most = std::find_if(holders_[kind].rbegin(), holders_[kind].rend(),
                                           [](const list& each) { return !each.empty(); });
        // The last that has come to that size: others may be about to be complete.
        if (has_most != holders_[kind].rend()) return &has_most->back();
    }
    return nullptr;
}

}  // namespace amqtt
