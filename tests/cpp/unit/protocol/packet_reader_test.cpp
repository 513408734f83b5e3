#include "protocol/packet_reader.hpp"

#include <cstdlib>
#include <malloc.h>
#include <new>
#include <random>

#include <gtest/gtest.h>

#include "support/wire.hpp"

namespace {

std::size_t heap_in_use = 0;  // the tests of this program have one thread

}  // namespace

// NOLINTBEGIN: the replaceable functions are how the standard spells them
void* operator new(std::size_t size) {
    void* place = std::malloc(size == 0 ? 1 : size);
    if (!place) throw std::bad_alloc();
    heap_in_use += malloc_usable_size(place);
    return place;
}
void operator delete(void* place) noexcept {
    if (place) heap_in_use -= malloc_usable_size(place);
    std::free(place);
}
void operator delete(void* place, std::size_t) noexcept {
    operator delete(place);
}
// NOLINTEND

namespace amqtt::test {
namespace {

constexpr std::size_t no_limit = 268'435'460;

// The packets of a feed's input so far, as bytes without their fixed header.
std::vector<bytes> drain(packet_reader& feed) {
    std::vector<bytes> bodies;
    while (true) {
        const auto found = feed.next();
        EXPECT_TRUE(found);
        if (!found || !*found) return bodies;
        const frame& packet = **found;
        bytes body{
            static_cast<std::uint8_t>(static_cast<unsigned>(packet.type) << 4 | packet.flags)};
        body.insert(body.end(), packet.body.begin(), packet.body.end());
        bodies.push_back(std::move(body));
    }
}

// Feeds stream in pieces, each in a buffer that is gone when the next one comes.
std::vector<bytes> feed_in_pieces(bytes_view stream, const std::vector<std::size_t>& cuts) {
    packet_reader feed(no_limit);
    std::vector<bytes> all;
    std::size_t at = 0;
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
        const std::size_t end = i < cuts.size() ? cuts[i] : stream.size();
        const bytes piece(stream.begin() + static_cast<std::ptrdiff_t>(at),
                          stream.begin() + static_cast<std::ptrdiff_t>(end));
        feed.receive(piece);
        for (bytes& body : drain(feed))
            all.push_back(std::move(body));
        feed.stash();
        at = end;
    }
    EXPECT_EQ(feed.buffered(), 0U);
    return all;
}

bytes sample_stream() {
    return pingreq() + publish({.topic = "a/b", .payload = "first"}) + puback(7) +
           publish({.topic = "t", .payload = std::string(200, 'x'), .level = 1, .packet_id = 1}) +
           disconnect();
}

std::vector<bytes> sample_bodies() {
    const bytes long_body = string_field("t") + u16_field(1) + bytes(200, 'x');
    return {{0xC0},
            bytes{0x30} + string_field("a/b") + wire("'first'"),
            wire("40 00 07"),
            bytes{0x32} + long_body,
            {0xE0}};
}

TEST(packet_reader, finds_packets_in_one_piece) {
    EXPECT_EQ(feed_in_pieces(sample_stream(), {}), sample_bodies());
}

TEST(packet_reader, finds_packets_in_any_two_or_three_pieces) {
    const bytes stream = sample_stream();
    for (std::size_t a = 0; a <= stream.size(); ++a) {
        ASSERT_EQ(feed_in_pieces(stream, {a}), sample_bodies()) << a;
        for (std::size_t b = a; b <= stream.size(); b += 3)
            ASSERT_EQ(feed_in_pieces(stream, {a, b}), sample_bodies()) << a << " " << b;
    }
}

TEST(packet_reader, finds_packets_byte_by_byte) {
    const bytes stream = sample_stream();
    std::vector<std::size_t> cuts;
    for (std::size_t i = 1; i < stream.size(); ++i)
        cuts.push_back(i);
    EXPECT_EQ(feed_in_pieces(stream, cuts), sample_bodies());
}

TEST(packet_reader, finds_packets_in_random_pieces) {
    bytes stream;
    std::vector<bytes> bodies;
    for (int i = 0; i < 20; ++i) {
        stream = stream + sample_stream();
        for (const bytes& body : sample_bodies())
            bodies.push_back(body);
    }
    std::mt19937 random(5);
    for (int round = 0; round < 200; ++round) {
        std::vector<std::size_t> cuts;
        for (std::size_t at = random() % 300; at < stream.size(); at += random() % 300)
            cuts.push_back(at);
        ASSERT_EQ(feed_in_pieces(stream, cuts), bodies);
    }
}

// As when a decision on the first packet is pending: the rest is kept, and more may come.
TEST(packet_reader, goes_on_after_a_pause_between_packets) {
    const bytes stream = sample_stream() + sample_stream();
    for (std::size_t first = 1; first <= stream.size(); ++first) {
        packet_reader feed(no_limit);
        std::vector<bytes> all;
        {
            const bytes piece(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(first));
            feed.receive(piece);
            (void)feed.next();  // handed out before the pause, and dropped by it
            feed.stash();
            feed.stash();
        }
        for (bytes& body : drain(feed))
            all.push_back(std::move(body));
        const bytes rest(stream.begin() + static_cast<std::ptrdiff_t>(first), stream.end());
        feed.receive(rest);
        for (bytes& body : drain(feed))
            all.push_back(std::move(body));
        feed.stash();
        EXPECT_EQ(feed.buffered(), 0U);
        auto expected = sample_bodies();
        for (const bytes& body : sample_bodies())
            expected.push_back(body);
        if (first >= 2) expected.erase(expected.begin());
        ASSERT_EQ(all, expected) << first;
    }
}

TEST(packet_reader, shows_the_packet_behind_the_next) {
    packet_reader feed(no_limit);
    EXPECT_FALSE(feed.second());
    const bytes input = wire("c0 00  30 03 00 01 't'  d0 00  40 02");
    feed.receive(input);
    ASSERT_TRUE(feed.second());
    EXPECT_EQ(feed.second()->type, packet_type::publish);
    EXPECT_EQ(feed.second()->size, 5U);
    ASSERT_TRUE(feed.next());
    EXPECT_EQ(feed.second()->type, packet_type::pingresp);
    ASSERT_TRUE(feed.next());
    EXPECT_FALSE(feed.second());  // not whole
    ASSERT_TRUE(feed.next());
    EXPECT_FALSE(feed.second());
}

TEST(packet_reader, takes_a_huge_packet) {
    const std::string payload(3'000'000, 'p');
    const bytes stream = publish({.topic = "big", .payload = payload}) + pingreq();
    std::vector<std::size_t> cuts;
    for (std::size_t at = 128 * 1024; at < stream.size(); at += 128 * 1024)
        cuts.push_back(at);
    const std::vector<bytes> found = feed_in_pieces(stream, cuts);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].size(), 1 + 5 + payload.size());
    EXPECT_EQ(found[1], bytes{0xC0});
}

TEST(packet_reader, refuses_what_exceeds_the_limit_before_it_is_there) {
    packet_reader feed(100);
    const bytes fits = publish({.topic = "t", .payload = std::string(95, 'x')});
    ASSERT_EQ(fits.size(), 100U);
    feed.receive(fits);
    EXPECT_EQ(drain(feed).size(), 1U);
    const bytes header{0x30, 99};  // 101 bytes in all
    feed.receive(header);
    const auto found = feed.next();
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, reason_code::packet_too_large);
}

// 3.1.1: the Remaining Length has at most four bytes (section 2.2.3).
TEST(packet_reader, refuses_a_remaining_length_of_five_bytes) {
    for (const std::size_t piece : {1U, 6U}) {
        packet_reader feed(no_limit);
        const bytes stream = wire("30 80 80 80 80 01");
        bool refused = false;
        for (std::size_t at = 0; at < stream.size() && !refused; at += piece) {
            feed.receive(bytes_view(stream).subspan(at, piece));
            const auto found = feed.next();
            refused = !found;
            if (refused) {
                EXPECT_EQ(found.error().code, reason_code::malformed_packet);
            }
            feed.stash();
        }
        EXPECT_TRUE(refused);
    }
}

TEST(packet_reader, holds_no_memory_between_packets) {
    const bytes stream = publish({.topic = "big", .payload = std::string(500'000, 'p')});
    packet_reader feed(no_limit);
    const std::size_t before = heap_in_use;
    for (int round = 0; round < 2; ++round) {
        const bytes_view all(stream);
        feed.receive(all.first(400'000));
        EXPECT_FALSE(*feed.next());
        feed.stash();
        EXPECT_GE(feed.footprint(), 400'000U);
        feed.receive(all.subspan(400'000));
        EXPECT_TRUE(*feed.next());
        EXPECT_FALSE(*feed.next());
        feed.stash();
        EXPECT_EQ(heap_in_use, before);
        EXPECT_EQ(feed.footprint(), 0U);
    }
}

TEST(packet_reader, forgets_what_it_is_told_to) {
    const bytes stream = publish({.topic = "t", .payload = std::string(50'000, 'p')});
    packet_reader feed(no_limit);
    EXPECT_EQ(feed.first(), std::nullopt);
    feed.receive(bytes_view(stream).first(40'000));
    EXPECT_EQ(feed.first(), 0x30);
    EXPECT_FALSE(*feed.next());
    feed.stash();
    EXPECT_EQ(feed.first(), 0x30);
    feed.clear();
    EXPECT_EQ(feed.buffered(), 0U);
    EXPECT_EQ(feed.footprint(), 0U);
    EXPECT_EQ(feed.first(), std::nullopt);
    feed.receive(stream);
    EXPECT_TRUE(*feed.next());
}

}  // namespace
}  // namespace amqtt::test
