#include "support/wire.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace amqtt::test {
namespace {

[[noreturn]] void bad_notation(std::string_view rest) {
    throw std::invalid_argument("bad byte notation at: " + std::string(rest.substr(0, 20)));
}

int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string with_unique(std::string_view text, std::string_view unique) {
    static constexpr std::string_view place = "{id}";
    std::string out(text);
    for (auto at = out.find(place); at != std::string::npos; at = out.find(place, at))
        out.replace(at, place.size(), unique);
    return out;
}

// Takes one token off rest.
bytes take_piece(std::string_view& rest, std::string_view unique) {
    if (rest.front() == '\'') {
        const auto end = rest.find('\'', 1);
        if (end == std::string_view::npos) bad_notation(rest);
        const std::string text = with_unique(rest.substr(1, end - 1), unique);
        rest.remove_prefix(end + 1);
        return {text.begin(), text.end()};
    }
    if (rest.size() < 2 || digit(rest[0]) < 0 || digit(rest[1]) < 0) bad_notation(rest);
    const auto value = static_cast<std::uint8_t>(digit(rest[0]) * 16 + digit(rest[1]));
    rest.remove_prefix(2);
    return {value};
}

std::size_t take_count(std::string_view& rest) {
    if (rest.empty() || rest.front() != '*') return 1;
    rest.remove_prefix(1);
    std::size_t count = 0;
    if (rest.empty() || rest.front() < '0' || rest.front() > '9') bad_notation(rest);
    for (; !rest.empty() && rest.front() >= '0' && rest.front() <= '9'; rest.remove_prefix(1))
        count = count * 10 + static_cast<std::size_t>(rest.front() - '0');
    return count;
}

}  // namespace

bytes wire(std::string_view notation, std::string_view unique) {
    bytes out;
    while (true) {
        while (!notation.empty() && notation.front() == ' ')
            notation.remove_prefix(1);
        if (notation.empty()) return out;
        const bytes piece = take_piece(notation, unique);
        for (std::size_t n = take_count(notation); n > 0; --n)
            out.insert(out.end(), piece.begin(), piece.end());
    }
}

std::string shown(bytes_view data) {
    static constexpr std::size_t most = 96;
    std::string out = "[" + std::to_string(data.size()) + " bytes]";
    for (const std::uint8_t byte : data.first(std::min(most, data.size()))) {
        char text[4];
        std::snprintf(text, sizeof text, " %02x", byte);
        out += text;
    }
    return data.size() > most ? out + " ..." : out;
}

std::vector<bytes> split_packets(bytes_view stream) {
    std::vector<bytes> all;
    while (!stream.empty()) {
        std::size_t length = 0;
        std::size_t at = 1;
        bool more = true;
        for (unsigned shift = 0; more && at < stream.size(); shift += 7, ++at) {
            length |= static_cast<std::size_t>(stream[at] & 0x7F) << shift;
            more = (stream[at] & 0x80) != 0;
        }
        const std::size_t size = more ? stream.size() : std::min(stream.size(), at + length);
        all.emplace_back(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(size));
        stream = stream.subspan(size);
    }
    return all;
}

bytes take_all(output_queue& out) {
    bytes all;
    std::array<bytes_view, 8> slices;
    while (!out.empty()) {
        const std::size_t count = out.gather(slices);
        for (std::size_t i = 0; i < count; ++i) {
            all.insert(all.end(), slices[i].begin(), slices[i].end());
            out.consume(slices[i].size());
        }
    }
    return all;
}

bytes operator+(bytes a, const bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

bytes packet(std::uint8_t first, const bytes& body) {
    bytes out{first};
    std::size_t rest = body.size();
    do {
        out.push_back(static_cast<std::uint8_t>((rest % 128) | (rest >= 128 ? 0x80 : 0)));
        rest /= 128;
    } while (rest > 0);
    return out + body;
}

bytes u16_field(unsigned value) {
    return {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

bytes string_field(std::string_view text) {
    return u16_field(static_cast<unsigned>(text.size())) + bytes(text.begin(), text.end());
}

bytes connect(const connect_spec& what) {
    unsigned flags = what.clean ? 0x02 : 0;
    if (!what.user_name.empty()) flags |= 0x80;
    if (!what.password.empty()) flags |= 0x40;
    bytes payload = string_field(what.client_id);
    for (const will_spec& will : what.will) {
        flags |= 0x04 | will.level << 3 | (will.retain ? 0x20 : 0);
        payload = payload + string_field(will.topic) + string_field(will.payload);
    }
    if (!what.user_name.empty()) payload = payload + string_field(what.user_name);
    if (!what.password.empty()) payload = payload + string_field(what.password);
    const bytes head =
        string_field(what.version == 3 ? "MQIsdp" : "MQTT") +
        bytes{static_cast<std::uint8_t>(what.version), static_cast<std::uint8_t>(flags)} +
        u16_field(what.keep_alive);
    return packet(0x10, what.version == 5 ? head + bytes{0} + payload : head + payload);
}

bytes connack(bool session_present, unsigned code) {
    return {0x20, 2, static_cast<std::uint8_t>(session_present ? 1 : 0),
            static_cast<std::uint8_t>(code)};
}

bytes publish(const publish_spec& what) {
    const unsigned first = 0x30 | (what.dup ? 8 : 0) | what.level << 1 | (what.retain ? 1 : 0);
    bytes body = string_field(what.topic);
    if (what.level > 0) body = body + u16_field(what.packet_id);
    body.insert(body.end(), what.payload.begin(), what.payload.end());
    return packet(static_cast<std::uint8_t>(first), body);
}

bytes puback(unsigned packet_id) {
    return packet(0x40, u16_field(packet_id));
}

bytes pubrec(unsigned packet_id) {
    return packet(0x50, u16_field(packet_id));
}

bytes pubrel(unsigned packet_id) {
    return packet(0x62, u16_field(packet_id));
}

bytes pubcomp(unsigned packet_id) {
    return packet(0x70, u16_field(packet_id));
}

bytes subscribe(unsigned packet_id, const std::vector<std::pair<std::string, unsigned>>& filters) {
    bytes body = u16_field(packet_id);
    for (const auto& [filter, level] : filters)
        body = body + string_field(filter) + bytes{static_cast<std::uint8_t>(level)};
    return packet(0x82, body);
}

bytes suback(unsigned packet_id, const std::vector<unsigned>& codes) {
    bytes body = u16_field(packet_id);
    body.insert(body.end(), codes.begin(), codes.end());
    return packet(0x90, body);
}

bytes unsubscribe(unsigned packet_id, const std::vector<std::string>& filters) {
    bytes body = u16_field(packet_id);
    for (const std::string& filter : filters)
        body = body + string_field(filter);
    return packet(0xA2, body);
}

bytes unsuback(unsigned packet_id) {
    return packet(0xB0, u16_field(packet_id));
}

bytes pingreq() {
    return {0xC0, 0};
}

bytes pingresp() {
    return {0xD0, 0};
}

bytes disconnect() {
    return {0xE0, 0};
}

}  // namespace amqtt::test
