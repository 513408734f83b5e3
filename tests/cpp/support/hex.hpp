// Wire data as tests write it down.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"

namespace amqtt::test {

using byte_string = std::vector<std::uint8_t>;

// hex("00 04 'MQTT' 04"): pairs of hex digits, text between quotes, blanks anywhere.
inline byte_string hex(std::string_view source) {
    byte_string out;
    bool quoted = false;
    for (std::size_t i = 0; i < source.size(); ++i) {
        const char c = source[i];
        if (c == '\'') {
            quoted = !quoted;
        } else if (quoted) {
            out.push_back(static_cast<std::uint8_t>(c));
        } else if (c != ' ') {
            const std::string digits(source.substr(i++, 2));
            out.push_back(static_cast<std::uint8_t>(std::strtoul(digits.c_str(), nullptr, 16)));
        }
    }
    return out;
}

// first, and then piece that many times.
inline byte_string repeated(byte_string first, std::size_t count, const byte_string& piece) {
    for (std::size_t i = 0; i < count; ++i)
        first.insert(first.end(), piece.begin(), piece.end());
    return first;
}

inline byte_string to_bytes(bytes_view view) {
    return {view.begin(), view.end()};
}

template <class... More>
byte_string concat(byte_string first, const More&... more) {
    (first.insert(first.end(), more.begin(), more.end()), ...);
    return first;
}

}  // namespace amqtt::test
