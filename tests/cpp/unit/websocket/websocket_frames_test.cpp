#include "websocket/websocket_frames.hpp"

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace amqtt {
namespace {

using bytes = std::vector<std::uint8_t>;
using state = websocket_decoder::state;

constexpr std::uint8_t fin = 0x80;
constexpr std::uint8_t mask[4] = {0x37, 0xFA, 0x21, 0x3D};

// A masked frame; the first byte is given whole.
bytes frame(int first, std::string_view payload) {
    bytes out(websocket_header_size);
    out.resize(write_websocket_header(out.data(), websocket_opcode::binary, payload.size()));
    out[0] = static_cast<std::uint8_t>(first);
    out[1] |= 0x80;
    out.insert(out.end(), mask, mask + 4);
    for (std::size_t i = 0; i < payload.size(); ++i)
        out.push_back(static_cast<std::uint8_t>(payload[i]) ^ mask[i % 4]);
    return out;
}

bytes operator+(bytes a, const bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

// The payload that comes out when input goes in, in pieces of `step` bytes.
std::string decode(websocket_decoder& decoder, const bytes& input, std::size_t step) {
    std::string payload;
    for (std::size_t at = 0; at < input.size(); at += step) {
        const std::size_t n = std::min(step, input.size() - at);
        // A buffer of its own, so that a sanitizer sees every step outside.
        bytes piece(input.begin() + static_cast<std::ptrdiff_t>(at),
                    input.begin() + static_cast<std::ptrdiff_t>(at + n));
        piece.shrink_to_fit();
        const std::size_t size = decoder.decode(piece);
        payload += as_text(bytes_view(piece).first(size));
    }
    return payload;
}

struct outcome {
    std::string payload;
    state status;
    websocket_close code;
};

// Whole, in odd pieces and byte by byte must be the same.
outcome decode_all(const bytes& input) {
    websocket_decoder whole;
    const outcome result{decode(whole, input, input.size() + 1), whole.status(), whole.code()};
    for (const std::size_t step : {1, 3, 7}) {
        websocket_decoder decoder;
        EXPECT_EQ(decode(decoder, input, step), result.payload) << step;
        EXPECT_EQ(decoder.status(), result.status) << step;
        EXPECT_EQ(decoder.code(), result.code) << step;
    }
    return result;
}

void expect_failure(const bytes& input, websocket_close code, std::string_view before = "") {
    const outcome result = decode_all(input);
    EXPECT_EQ(result.status, state::failed);
    EXPECT_EQ(result.code, code);
    EXPECT_EQ(result.payload, before);
}

TEST(WebsocketHeader, HasTheShortestLength) {
    const auto header_of = [](std::uint64_t payload) {
        bytes out(websocket_header_size);
        out.resize(write_websocket_header(out.data(), websocket_opcode::binary, payload));
        return out;
    };
    EXPECT_EQ(header_of(0), (bytes{0x82, 0}));
    EXPECT_EQ(header_of(125), (bytes{0x82, 125}));
    EXPECT_EQ(header_of(126), (bytes{0x82, 126, 0, 126}));
    EXPECT_EQ(header_of(0xFFFF), (bytes{0x82, 126, 0xFF, 0xFF}));
    EXPECT_EQ(header_of(0x10000), (bytes{0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}));
}

TEST(WebsocketDecoder, UnmasksPayloadsOfEveryLength) {
    for (const std::size_t size : {0, 1, 7, 8, 9, 125, 126, 127, 65535, 65536, 70001}) {
        std::string payload(size, '\0');
        for (std::size_t i = 0; i < size; ++i)
            payload[i] = static_cast<char>(i * 31);
        const outcome result = decode_all(frame(fin | 2, payload));
        EXPECT_EQ(result.payload, payload);
        EXPECT_EQ(result.status, state::open);
    }
}

TEST(WebsocketDecoder, JoinsFramesAndFragments) {
    const bytes input = frame(fin | 2, "one ") + frame(2, "two ") + frame(0, "") +
                        frame(fin | 9, "ping") + frame(0, "three ") + frame(fin | 0, "four ") +
                        frame(fin | 2, "") + frame(fin | 2, "five");
    EXPECT_EQ(decode_all(input).payload, "one two three four five");
}

TEST(WebsocketDecoder, KeepsTheNewestPing) {
    websocket_decoder decoder;
    const std::string longest(websocket_control_size, 'x');
    decode(decoder, frame(fin | 9, "old") + frame(fin | 10, "a pong") + frame(fin | 9, longest), 9);
    ASSERT_TRUE(decoder.has_ping());
    EXPECT_EQ(decoder.take_ping(), longest);
    EXPECT_FALSE(decoder.has_ping());
    decode(decoder, frame(fin | 9, ""), 100);
    EXPECT_TRUE(decoder.has_ping());
    EXPECT_EQ(decoder.take_ping(), "");
}

TEST(WebsocketDecoder, ReportsTheCloseOfThePeer) {
    const outcome without_code = decode_all(frame(fin | 2, "last") + frame(fin | 8, ""));
    EXPECT_EQ(without_code.status, state::closed);
    EXPECT_EQ(without_code.code, websocket_close::none);
    EXPECT_EQ(without_code.payload, "last");
    const outcome with_code = decode_all(frame(fin | 8, "\x03\xE8g\u00FCt") + frame(fin | 2, "!"));
    EXPECT_EQ(with_code.status, state::closed);
    EXPECT_EQ(with_code.code, websocket_close::normal);
    EXPECT_EQ(with_code.payload, "");
}

TEST(WebsocketDecoder, RefusesBadCloseFrames) {
    expect_failure(frame(fin | 8, "\x03"), websocket_close::protocol_error);
    for (const int code : {0, 999, 1004, 1005, 1006, 1015, 2999, 5000}) {
        const char payload[] = {static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
        expect_failure(frame(fin | 8, {payload, 2}), websocket_close::protocol_error);
    }
    expect_failure(frame(fin | 8, "\x03\xE8\xFF"), websocket_close::invalid_text);
}

TEST(WebsocketDecoder, RefusesWhatIsNoBinaryMessage) {
    expect_failure(frame(fin | 2, "ok") + frame(fin | 1, "text"), websocket_close::unsupported_data,
                   "ok");
    for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15})
        expect_failure(frame(fin | opcode, ""), websocket_close::protocol_error);
    for (const int reserved : {0x10, 0x20, 0x40})
        expect_failure(frame(fin | reserved | 2, ""), websocket_close::protocol_error);
}

TEST(WebsocketDecoder, RefusesBrokenFragmentation) {
    expect_failure(frame(fin | 0, "x"), websocket_close::protocol_error);
    expect_failure(frame(0, "x"), websocket_close::protocol_error);
    expect_failure(frame(2, "x") + frame(fin | 2, "y"), websocket_close::protocol_error, "x");
    expect_failure(frame(2, "x") + frame(2, "y"), websocket_close::protocol_error, "x");
    for (const int opcode : {8, 9, 10})
        expect_failure(frame(opcode, ""), websocket_close::protocol_error);
}

TEST(WebsocketDecoder, RefusesFramesWithoutMask) {
    expect_failure({0x82, 0x00}, websocket_close::protocol_error);
    expect_failure({0x82, 0x7E}, websocket_close::protocol_error);  // does not wait for more
}

TEST(WebsocketDecoder, RefusesBadLengths) {
    const auto with_length = [](int first, int marker, const bytes& length) {
        bytes head{static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(0x80 | marker)};
        return head + length + bytes{0, 0, 0, 0};
    };
    expect_failure(with_length(0x82, 127, {0x80, 0, 0, 0, 0, 0, 0, 0}),
                   websocket_close::protocol_error);
    expect_failure(with_length(0x82, 127, bytes(8, 0xFF)), websocket_close::protocol_error);
    expect_failure(with_length(0x82, 126, {0, 125}), websocket_close::protocol_error);
    expect_failure(with_length(0x82, 127, {0, 0, 0, 0, 0, 0, 0xFF, 0xFF}),
                   websocket_close::protocol_error);
    for (const int opcode : {0x88, 0x89, 0x8A})
        expect_failure(with_length(opcode, 126, {0, 126}), websocket_close::protocol_error);
}

TEST(WebsocketDecoder, PassesOnPartsOfAHugeFrame) {
    const bytes head{0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0};
    const outcome result = decode_all(head + bytes{'a', 'b'});
    EXPECT_EQ(result.status, state::open);
    EXPECT_EQ(result.payload, "ab");
}

// Any bytes give a result, and the same one however they are cut.
TEST(WebsocketDecoder, IsTotal) {
    std::mt19937 random(1);
    std::uniform_int_distribution<int> byte(0, 255);
    std::uniform_int_distribution<std::size_t> length(0, 40);
    for (int round = 0; round < 20'000; ++round) {
        bytes input = round % 2 == 0 ? frame(fin | 2, "start") : bytes{};
        for (std::size_t i = length(random); i > 0; --i)
            input.push_back(static_cast<std::uint8_t>(byte(random)));
        // Often a first byte that is accepted.
        if (!input.empty() && round % 4 == 1) input[0] = fin | 2;
        decode_all(input);
    }
}

TEST(close_code_for, says_what_the_reason_says) {
    using enum reason_code;
    EXPECT_EQ(close_code_for(success), websocket_close::normal);
    EXPECT_EQ(close_code_for(disconnect_with_will), websocket_close::normal);
    EXPECT_EQ(close_code_for(session_taken_over), websocket_close::normal);
    EXPECT_EQ(close_code_for(server_shutting_down), websocket_close::going_away);
    EXPECT_EQ(close_code_for(malformed_packet), websocket_close::protocol_error);
    EXPECT_EQ(close_code_for(protocol_error), websocket_close::protocol_error);
    EXPECT_EQ(close_code_for(packet_too_large), websocket_close::message_too_big);
    EXPECT_EQ(close_code_for(not_authorized), websocket_close::policy_violation);
    EXPECT_EQ(close_code_for(keep_alive_timeout), websocket_close::policy_violation);
    EXPECT_EQ(close_code_for(quota_exceeded), websocket_close::policy_violation);
    EXPECT_EQ(close_code_for(server_busy), websocket_close::try_again_later);
    EXPECT_EQ(close_code_for(unspecified_error), websocket_close::internal_error);
}

}  // namespace
}  // namespace amqtt
