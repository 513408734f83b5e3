// What the tests of the packet codecs share.
#pragma once

#include <array>
#include <string>

#include <gtest/gtest.h>

#include "base/reason_code.hpp"
#include "base/result.hpp"
#include "codec/framer.hpp"
#include "codec/protocol_version.hpp"
#include "support/hex.hpp"

namespace amqtt::test {

inline constexpr std::array all_versions{protocol_version::v3_1, protocol_version::v3_1_1,
                                         protocol_version::v5_0};

// The reason code of a failure, success if there is a value.
template <class T>
reason_code outcome(const result<T>& decoded) {
    return decoded ? reason_code::success : decoded.error().code;
}

// The one packet that data consists of.
inline frame frame_of(bytes_view data) {
    const framing found = next_frame(data, data.size());
    EXPECT_EQ(found.state, framing::status::complete);
    EXPECT_EQ(found.packet.size, data.size());
    return found.packet;
}

inline bytes_view body_of(bytes_view packet) {
    return frame_of(packet).body;
}

// Calls check(body) with every proper prefix of body, each in memory of exactly its size, so
// that reading too far shows.
template <class Check>
void for_each_truncation(bytes_view body, Check&& check) {
    for (std::size_t size = 0; size < body.size(); ++size) {
        SCOPED_TRACE("the first " + std::to_string(size) + " bytes");
        const byte_string prefix = to_bytes(body.first(size));
        check(bytes_view(prefix));
    }
}

}  // namespace amqtt::test
