// The opening handshake of WebSocket ends the same however it is cut, takes nothing that is behind
// it, and its answer is well-formed whatever the request holds.
#include "websocket/websocket_upgrade.hpp"

#include <optional>
#include <string>
#include <string_view>

#include "allocations.hpp"
#include "input.hpp"

namespace {

using namespace amqtt;
using state = websocket_upgrade::state;

// So that the interesting part of the input need not be found behind all that is required.
std::string request_with(std::string_view target, std::string_view fields) {
    std::string text = "GET ";
    text += target;
    text +=
        " HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n";
    text += fields;
    return text + "\r\n\r\n";
}

// Returns how much of the stream was the request's.
std::size_t feed(websocket_upgrade& upgrade, bytes_view stream, bytes_view cuts) {
    std::size_t taken = 0;
    for (std::size_t i = 0; taken < stream.size() && upgrade.status() == state::reading; ++i) {
        const std::size_t wanted = i < cuts.size() ? 1U + cuts[i] % 64U : stream.size();
        const bytes_view piece =
            stream.subspan(taken).first(std::min(wanted, stream.size() - taken));
        taken += upgrade.receive(piece);
    }
    return taken;
}

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size()))
        ++found;
    return found;
}

void check_accepted(const websocket_upgrade& upgrade) {
    const std::string& response = upgrade.response();
    fuzz::check(response.starts_with("HTTP/1.1 101 "));
    fuzz::check(response.ends_with("\r\n\r\n") && count(response, "\r\n") == 6);
    fuzz::check(count(response, "Sec-WebSocket-Protocol: mqtt") == 1);
    fuzz::check(response.find("Extensions") == response.npos);
    fuzz::check(upgrade.problem().empty());
}

void check_refused(const websocket_upgrade& upgrade) {
    const std::string& response = upgrade.response();
    fuzz::check(response.starts_with("HTTP/1.1 4"));
    const std::size_t end = response.find("\r\n\r\n");
    fuzz::check(end != response.npos);
    const std::size_t body = response.size() - (end + 4);
    const std::string_view head = std::string_view(response).substr(0, end + 2);
    fuzz::check(head.find("Content-Length: " + std::to_string(body) + "\r\n") != head.npos);
    // It goes to the log: no lines of the peer's making.
    for (const char c : upgrade.problem())
        fuzz::check(static_cast<unsigned char>(c) >= ' ' && c != '\x7f');
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const unsigned int options = in.byte();
    const bytes_view cuts = in.bytes(in.byte() % 32U);
    websocket_settings settings;
    if ((options & 1U) != 0) settings.path = "/mqtt";
    if ((options & 2U) != 0) settings.origins = {"https://a.example", "null"};
    std::string stream;
    if ((options & 4U) != 0) {
        const std::string target(as_text(in.bytes(in.byte())));
        stream = request_with(target, as_text(in.rest()));
    } else {
        stream = as_text(in.rest());
    }

    const fuzz::allocation_bound bound(size);
    websocket_upgrade whole(settings);
    websocket_upgrade cut(settings);
    const std::size_t taken = feed(whole, as_bytes(stream), {});
    fuzz::check(taken <= websocket_upgrade::largest_request);
    fuzz::check(feed(cut, as_bytes(stream), cuts) == taken);
    fuzz::check(cut.status() == whole.status() && cut.response() == whole.response());
    if (whole.status() == state::accepted) check_accepted(whole);
    if (whole.status() == state::refused) check_refused(whole);
    return 0;
}
