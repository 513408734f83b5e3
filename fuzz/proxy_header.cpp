// A header of the PROXY protocol ends the same however it is cut, and takes nothing that is behind
// it; what it names is an address.
#include "net/proxy_header.hpp"

#include <optional>
#include <string>

#include "allocations.hpp"
#include "input.hpp"
#include "net/asio.hpp"

namespace {

using namespace amqtt;
using state = proxy_header::state;

struct outcome {
    state status = state::reading;
    std::optional<proxy_header::source> peer;
    std::size_t taken = 0;  // when it was accepted

    friend bool operator==(const outcome&, const outcome&) = default;
};

outcome feed(bytes_view stream, bytes_view cuts) {
    proxy_header header;
    std::size_t taken = 0;
    for (std::size_t i = 0; taken < stream.size() && header.status() == state::reading; ++i) {
        const std::size_t wanted = i < cuts.size() ? 1U + cuts[i] % 64U : stream.size();
        const bytes_view piece =
            stream.subspan(taken).first(std::min(wanted, stream.size() - taken));
        const std::size_t n = header.receive(piece);
        fuzz::check(n == piece.size() || header.status() != state::reading);
        taken += n;
    }
    fuzz::check(taken <= proxy_header::largest);
    const bool accepted = header.status() == state::accepted;
    fuzz::check(accepted || !header.peer());
    return {header.status(), header.peer(), accepted ? taken : 0};
}

void check_source(const proxy_header::source& source) {
    if (source.host.starts_with("unix:")) {
        fuzz::check(source.host.size() <= 5 + 108 && source.host.find('\0') == std::string::npos);
        return;
    }
    error_code error;
    const auto address = asio::ip::make_address(source.host, error);
    fuzz::check(!error && address.to_string() == source.host);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const bytes_view cuts = in.bytes(in.byte() % 32U);
    const bytes_view stream = in.rest();
    const fuzz::allocation_bound bound(size);
    const outcome whole = feed(stream, {});
    fuzz::check(feed(stream, cuts) == whole);
    if (whole.peer) check_source(*whole.peer);
    return 0;
}
