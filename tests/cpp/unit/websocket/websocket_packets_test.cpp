// One packet in each frame, several frames in one write.
#include "websocket/websocket_packets.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/packet_output.hpp"
#include "support/wire.hpp"
#include "websocket/websocket_client_stream.hpp"
#include "websocket/websocket_stream.hpp"

namespace amqtt::test {
namespace {

// -- cutting

// The frames of a stream that lies in pieces of that size.
std::vector<std::size_t> frames_of(const bytes& stream, std::size_t piece, std::size_t largest) {
    std::vector<bytes_view> slices;
    for (std::size_t at = 0; at < stream.size(); at += piece)
        slices.push_back(bytes_view(stream).subspan(at, std::min(piece, stream.size() - at)));
    packet_cutter cutter(largest);
    slice_reader in(slices);
    std::vector<std::size_t> sizes;
    while (!in.at_end()) {
        sizes.push_back(cutter.next_frame(in, true));
        EXPECT_EQ(in.skip(sizes.back()), sizes.back());
    }
    return sizes;
}

TEST(packet_cutter_test, gives_each_packet_a_frame_however_the_stream_lies) {
    const bytes stream = pingresp() + puback(1) +
                         publish({.topic = "t", .payload = std::string(200, 'x')}) + pingresp() +
                         publish({.topic = "t", .payload = std::string(20'000, 'x')}) + puback(2);
    for (const std::size_t piece :
         {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, stream.size()}) {
        SCOPED_TRACE(piece);
        EXPECT_EQ(frames_of(stream, piece, 100'000),
                  (std::vector<std::size_t>{2, 4, 206, 2, 20'007, 4}));
    }
}

TEST(packet_cutter_test, divides_a_packet_that_is_longer_than_a_frame) {
    const bytes stream = publish({.topic = "t", .payload = std::string(2'500, 'x')}) + puback(2);
    EXPECT_EQ(frames_of(stream, 100, 1'000), (std::vector<std::size_t>{1'000, 1'000, 506, 4}));
}

TEST(packet_cutter_test, waits_for_a_length_that_is_not_complete) {
    const bytes begin = wire("30 ff");
    const bytes_view slices[] = {begin};
    packet_cutter cutter(1'000);
    EXPECT_EQ(cutter.next_frame(slice_reader(slices), false), 0U);
    EXPECT_EQ(cutter.next_frame(slice_reader(slices), true), 2U);  // and then it is lost
}

TEST(packet_cutter_test, passes_on_what_is_no_stream_of_packets) {
    EXPECT_EQ(frames_of(wire("30 ff ff ff ff 01 02"), 3, 5), (std::vector<std::size_t>{5, 2}));
}

// -- streams

struct frame_seen {
    unsigned opcode;
    bytes payload;
};

// Takes apart what was sent, frames of clients being masked.
std::vector<frame_seen> frames_in(const bytes& sent, bool masked) {
    std::vector<frame_seen> frames;
    std::size_t at = 0;
    while (at + 2 <= sent.size()) {
        EXPECT_EQ(sent[at] & 0xF0, 0x80) << "final, and no extension";
        EXPECT_EQ((sent[at + 1] & 0x80) != 0, masked);
        const unsigned opcode = sent[at] & 0x0F;
        std::size_t size = sent[at + 1] & 0x7F;
        const std::size_t more = size == 126 ? 2 : size == 127 ? 8 : 0;
        at += 2;
        if (more > 0) size = 0;
        for (std::size_t i = 0; i < more; ++i)
            size = size << 8 | sent.at(at++);
        std::array<std::uint8_t, 4> mask{};
        for (std::size_t i = 0; masked && i < mask.size(); ++i)
            mask[i] = sent.at(at++);
        bytes payload;
        for (std::size_t i = 0; i < size && at < sent.size(); ++i)
            payload.push_back(sent[at++] ^ mask[i % mask.size()]);
        EXPECT_EQ(payload.size(), size) << "the last frame is cut off";
        frames.push_back({opcode, std::move(payload)});
    }
    return frames;
}

// What is below: takes as much at a time as it is told. One that encrypts takes a record at a time,
// and when it has no room it keeps the record, and wants to be offered the same again.
class fake_stream : public stream {
  public:
    explicit fake_stream(bool encrypts) : encrypts_(encrypts) {}

    io_result read(std::span<std::uint8_t> buffer) override {
        if (input.empty()) return {io_status::want_read, 0, {}};
        const std::size_t n = std::min(buffer.size(), input.size());
        std::copy_n(input.begin(), n, buffer.begin());
        input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(n));
        return {io_status::done, n, {}};
    }
    io_result write(std::span<const bytes_view> slices) override {
        ++writes;
        bytes offered;
        for (const bytes_view slice : slices)
            offered.insert(offered.end(), slice.begin(), slice.end());
        if (encrypts_ && offered.size() > record) offered.resize(record);
        if (!kept_.empty()) {
            EXPECT_GE(offered.size(), kept_.size()) << "less than was offered before";
            EXPECT_TRUE(std::equal(kept_.begin(), kept_.end(), offered.begin()))
                << "not what was offered before";
        }
        if (room == 0) {
            if (encrypts_ && kept_.empty()) kept_ = offered;
            return {io_status::want_write, 0, {}};
        }
        std::size_t n = std::min(room, offered.size());
        if (encrypts_) {  // whole records
            n = kept_.empty() ? offered.size() : kept_.size();
            kept_.clear();
        }
        room -= std::min(room, n);
        sent.insert(sent.end(), offered.begin(), offered.begin() + static_cast<std::ptrdiff_t>(n));
        return {io_status::done, n, {}};
    }
    io_status shutdown_send() override { return io_status::done; }
    stream_socket& socket() noexcept override { return socket_; }

    static constexpr std::size_t record = 16 * 1024;
    bytes input;
    bytes sent;
    std::size_t room = SIZE_MAX;
    std::size_t writes = 0;

  private:
    bool encrypts_;
    bytes kept_;
    asio::io_context context_;
    stream_socket socket_{context_};
};

constexpr std::string_view request =
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: mqtt\r\n\r\n";

class websocket_output : public testing::TestWithParam<bool> {
  protected:
    websocket_output() {
        auto below = std::make_unique<fake_stream>(GetParam());
        below_ = below.get();
        stream_ = std::make_unique<websocket_stream>(
            std::move(below), settings_,
            std::span(scratch_).first(GetParam() ? fake_stream::record : scratch_.size()));
        receive(as_bytes(request));
        flush();
        EXPECT_TRUE(as_text(below_->sent).starts_with("HTTP/1.1 101"));
        below_->sent.clear();
    }
    void receive(bytes_view input) {
        below_->input.assign(input.begin(), input.end());
        bytes buffer(1'000);
        (void)stream_->read(buffer);
    }
    void append(const bytes& packet) {
        packets_.push_back(packet);
        out_.append(packet);
    }
    void append_shared(std::size_t size) {
        const std::string payload(size, static_cast<char>('a' + size % 26));
        const message_ptr m = message::create("t", as_bytes(payload), qos::at_most_once, false);
        EXPECT_TRUE(append_publish(out_, protocol_version::v3_1_1,
                                   {.topic = m->topic(), .payload = m->payload()}, m));
        packets_.push_back(publish({.topic = "t", .payload = payload}));
    }
    io_result flush() { return write_queue(*stream_, out_); }

    // Every packet in a frame of its own, or in several when it is large; control frames beside.
    void expect_packets(std::size_t pongs = 0) {
        std::size_t seen_pongs = 0;
        std::size_t next = 0;
        bytes part;
        for (const frame_seen& each : frames_in(below_->sent, false)) {
            if (each.opcode == 10) {
                ++seen_pongs;
                continue;
            }
            EXPECT_EQ(each.opcode, 2U);
            part = part + each.payload;
            ASSERT_LT(next, packets_.size());
            if (each.payload.size() == 256 * 1024 && part.size() < packets_[next].size()) continue;
            ASSERT_TRUE(part == packets_[next]) << "frame of packet " << next;
            part.clear();
            ++next;
        }
        EXPECT_EQ(next, packets_.size());
        EXPECT_EQ(seen_pongs, pongs);
    }

    websocket_settings settings_;
    bytes scratch_ = bytes(64 * 1024);
    block_pool pool_;
    output_queue out_{pool_};
    std::vector<bytes> packets_;
    fake_stream* below_ = nullptr;
    std::unique_ptr<websocket_stream> stream_;
};

// 5.0:MQTT-6.0.0-2@server 3.1.1:MQTT-6.0.0-2@server
TEST_P(websocket_output, puts_one_packet_into_each_frame) {
    for (const std::size_t size :
         {0U, 1U, 119U, 120U, 121U, 122U, 5'000U, 65'530U, 65'531U, 70'000U}) {
        append(publish({.topic = "t", .payload = std::string(size, 'x')}));
        append(puback(1));
        append_shared(size);
        append(pingresp());
    }
    EXPECT_EQ(flush().status, io_status::done);
    expect_packets();
}

TEST_P(websocket_output, divides_what_is_larger_than_a_frame) {
    append(puback(1));
    append_shared(600'000);
    append(publish({.topic = "t", .payload = std::string(300'000, 'x')}));
    append(puback(2));
    EXPECT_EQ(flush().status, io_status::done);
    expect_packets();
}

TEST_P(websocket_output, sends_many_small_packets_in_one_write) {
    for (unsigned i = 1; i <= 1'000; ++i)
        append(publish({.topic = "t", .payload = std::string(i % 7, 'x')}));
    below_->writes = 0;
    EXPECT_EQ(flush().status, io_status::done);
    EXPECT_EQ(below_->writes, 1U);  // 11 KiB
    expect_packets();
}

TEST_P(websocket_output, goes_on_wherever_the_stream_below_has_stopped) {
    std::minstd_rand random(7);
    for (int round = 0; round < 300; ++round) {
        const std::size_t kind = random() % 4;
        if (kind == 0) append(puback(1 + random() % 100));
        if (kind == 1) append(publish({.topic = "t", .payload = std::string(random() % 300, 'x')}));
        if (kind == 2) append_shared(random() % 20'000);
        below_->room = random() % 3 == 0 ? 0 : random() % 12'000;
        (void)flush();
        if (random() % 10 == 0) {
            // The payload of a Ping shows in the Pong.
            receive(wire("89 81 00 00 00 00 'p'"));
            (void)flush();
        }
    }
    below_->room = SIZE_MAX;
    EXPECT_EQ(flush().status, io_status::done);
    EXPECT_TRUE(out_.empty());
    std::size_t pongs = 0;
    for (const frame_seen& each : frames_in(below_->sent, false)) {
        if (each.opcode == 10) ++pongs;
    }
    EXPECT_GT(pongs, 0U);
    expect_packets(pongs);
}

// A peer that takes little at a time is answered all the same.
TEST_P(websocket_output, does_not_keep_a_pong_behind_everything_that_waits) {
    append_shared(3'000);
    below_->room = 1'000;
    (void)flush();
    for (unsigned i = 1; i <= 100; ++i)
        append(publish({.topic = "t", .payload = std::string(3'000, 'x')}));
    receive(wire("89 80 00 00 00 00"));
    while (!out_.empty()) {
        below_->room = 1'000;
        (void)flush();
    }
    below_->room = SIZE_MAX;
    (void)flush();
    const auto frames = frames_in(below_->sent, false);
    std::size_t at = 0;
    while (at < frames.size() && frames[at].opcode != 10)
        ++at;
    EXPECT_LT(at, 20U);
    expect_packets(1);
}

INSTANTIATE_TEST_SUITE_P(below, websocket_output, testing::Bool(), [](const auto& info) {
    return std::string(info.param ? "encrypted" : "plain");
});

// 5.0:MQTT-6.0.0-2@client 3.1.1:MQTT-6.0.0-2@client
TEST(websocket_client_output, puts_one_packet_into_each_frame) {
    auto made = std::make_unique<fake_stream>(false);
    fake_stream& below = *made;
    websocket_client_stream client(std::move(made), {"there", "/", {}});
    block_pool pool;
    output_queue out(pool);
    (void)write_queue(client, out);
    const std::string_view hello = as_text(below.sent);
    const std::string_view name = "Sec-WebSocket-Key: ";
    const std::string key(hello.substr(hello.find(name) + name.size(), 24));
    const std::string answer =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " +
        websocket_accept(key) + "\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    below.input.assign(answer.begin(), answer.end());
    bytes buffer(1'000);
    (void)client.read(buffer);
    below.sent.clear();
    std::vector<bytes> packets;
    for (unsigned i = 0; i < 500; ++i) {
        packets.push_back(puback(i + 1));
        packets.push_back(publish({.topic = "t", .payload = std::string(i * 3, 'x')}));
    }
    packets.push_back(publish({.topic = "t", .payload = std::string(200'000, 'y')}));
    packets.push_back(pingreq());
    for (const bytes& each : packets)
        out.append(each);
    std::size_t room = 0;
    while (!out.empty()) {
        below.room = room = (room + 7'001) % 50'000;
        (void)write_queue(client, out);
    }
    below.room = SIZE_MAX;
    (void)write_queue(client, out);
    std::size_t next = 0;
    bytes part;
    for (const frame_seen& each : frames_in(below.sent, true)) {
        EXPECT_EQ(each.opcode, 2U);
        part = part + each.payload;
        ASSERT_LT(next, packets.size());
        if (each.payload.size() == 64 * 1024 && part.size() < packets[next].size()) continue;
        ASSERT_TRUE(part == packets[next]) << "frame of packet " << next;
        part.clear();
        ++next;
    }
    EXPECT_EQ(next, packets.size());
}

}  // namespace
}  // namespace amqtt::test
