#include "base/output_queue.hpp"

#include <array>
#include <cstring>
#include <random>
#include <string>

#include <gtest/gtest.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace amqtt {
namespace {

constexpr std::size_t block_size = block_pool::block_size;
constexpr std::size_t small_block_size = block_pool::small_block_size;

// Everything in the queue, gathered with many slices.
std::string contents(const output_queue& queue) {
    std::vector<bytes_view> slices(4096);
    const std::size_t n = queue.gather(slices);
    std::string all;
    for (std::size_t i = 0; i < n; ++i)
        all += as_text(slices[i]);
    EXPECT_EQ(all.size(), queue.size());
    return all;
}

void allocate_text(output_queue& queue, std::string_view text) {
    std::memcpy(queue.allocate(text.size()), text.data(), text.size());
}

void append_shared_text(output_queue& queue, std::string_view text) {
    auto owner = message::create("t", as_bytes(text), qos::at_most_once, false);
    const bytes_view payload = owner->payload();
    queue.append_shared(std::move(owner), payload);
}

// Whether the block at place was given back. The other allocation takes its memory if it was freed.
bool has_back(block_pool& pool, const std::uint8_t* place, std::size_t size = small_block_size) {
    const block_pool::block other(new std::uint8_t[size]);
    return pool.take(size).get() == place;
}

// Text in which every position can be told from its neighbours.
std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        text[i] = static_cast<char>(i % 251);
    return text;
}

class OutputQueue : public testing::Test {
  protected:
    block_pool pool;
    output_queue queue{pool};
};

TEST(BlockPool, GivesOutWhatWasGivenBack) {
    block_pool pool;
    auto block = pool.take();
    const std::uint8_t* place = block.get();
    block[block_size - 1] = 1;
    pool.give_back(std::move(block));
    EXPECT_NE(pool.take(small_block_size).get(), place);
    EXPECT_EQ(pool.take().get(), place);
}

TEST(BlockPool, IgnoresNoBlock) {
    block_pool pool;
    pool.give_back(nullptr);
    EXPECT_NE(pool.take(), nullptr);
}

TEST_F(OutputQueue, StartsEmpty) {
    std::array<bytes_view, 2> slices;
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.size(), 0U);
    EXPECT_EQ(queue.gather(slices), 0U);
    queue.consume(0);
    queue.clear();
    EXPECT_TRUE(queue.empty());
}

TEST_F(OutputQueue, KeepsTheOrderOfEverythingQueued) {
    allocate_text(queue, "one ");
    queue.append(as_bytes("two "));
    append_shared_text(queue, "three ");
    allocate_text(queue, "four ");
    append_shared_text(queue, "five ");
    queue.append(as_bytes("six"));
    EXPECT_EQ(contents(queue), "one two three four five six");
}

TEST_F(OutputQueue, PutsSmallPiecesIntoOneSlice) {
    for (int i = 0; i < 100; ++i)
        allocate_text(queue, "frame ");
    std::array<bytes_view, 8> slices;
    EXPECT_EQ(queue.gather(slices), 1U);
    EXPECT_EQ(slices[0].size(), 600U);
}

TEST_F(OutputQueue, AllocatesContiguousRoomAtTheEndOfABlock) {
    const std::string most = pattern(block_size - 1);
    allocate_text(queue, most);
    allocate_text(queue, "ab");  // does not fit behind it
    allocate_text(queue, pattern(block_size));
    EXPECT_EQ(contents(queue), most + "ab" + pattern(block_size));
}

TEST_F(OutputQueue, AppendsAcrossBlocks) {
    for (const std::size_t before : {std::size_t{0}, std::size_t{1}, block_size - 1, block_size}) {
        const std::string first = pattern(before);
        const std::string second = pattern(3 * block_size + 5);
        queue.append(as_bytes(first));
        queue.append(as_bytes(second));
        EXPECT_EQ(contents(queue), first + second);
        queue.clear();
    }
}

TEST_F(OutputQueue, IgnoresEmptyPieces) {
    queue.append({});
    append_shared_text(queue, "");
    std::array<bytes_view, 4> slices;
    EXPECT_EQ(queue.gather(slices), 0U);
    EXPECT_TRUE(queue.empty());
}

TEST_F(OutputQueue, GathersNoMoreThanThereAreSlices) {
    for (const char* text : {"a", "b", "c"})
        append_shared_text(queue, text);
    for (std::size_t room = 0; room <= 4; ++room) {
        std::vector<bytes_view> slices(room);
        const std::size_t n = queue.gather(slices);
        EXPECT_EQ(n, std::min<std::size_t>(room, 3));
        for (std::size_t i = 0; i < n; ++i)
            EXPECT_EQ(as_text(slices[i]), std::string(1, static_cast<char>('a' + i)));
    }
}

TEST_F(OutputQueue, MayBeConsumedUpToAnyByte) {
    const std::string whole = "headsSHARED PAYLOADmoreSECONDtail";
    for (std::size_t first = 0; first <= whole.size(); ++first) {
        for (std::size_t second = first; second <= whole.size(); ++second) {
            queue.append(as_bytes("heads"));
            append_shared_text(queue, "SHARED PAYLOAD");
            allocate_text(queue, "more");
            append_shared_text(queue, "SECOND");
            queue.append(as_bytes("tail"));
            queue.consume(first);
            ASSERT_EQ(contents(queue), whole.substr(first));
            queue.consume(second - first);
            ASSERT_EQ(contents(queue), whole.substr(second));
            queue.clear();
        }
    }
}

TEST_F(OutputQueue, FillsABlockThatIsPartlyConsumed) {
    allocate_text(queue, "first");
    queue.consume(3);
    allocate_text(queue, " second");
    queue.append(as_bytes(" third"));
    EXPECT_EQ(contents(queue), "st second third");
}

TEST_F(OutputQueue, KeepsSharedPayloadsUntilTheyAreConsumed) {
    auto owner = message::create("t", as_bytes("payload"), qos::at_most_once, false);
    const bytes_view payload = owner->payload();
    queue.append_shared(std::move(owner), payload);
    queue.consume(6);
    EXPECT_EQ(contents(queue), "d");
#ifdef __SANITIZE_ADDRESS__
    EXPECT_FALSE(__asan_address_is_poisoned(payload.data()));
    allocate_text(queue, "more");
    queue.consume(1);
    EXPECT_TRUE(__asan_address_is_poisoned(payload.data())) << "the message was not released";
    EXPECT_EQ(contents(queue), "more");
#endif
}

TEST_F(OutputQueue, MayShareAPartOfAMessage) {
    const auto owner = message::create("t", as_bytes("payload"), qos::at_most_once, false);
    queue.append_shared(owner, owner->payload().subspan(3, 2));
    queue.append_shared(owner, owner->payload().first(3));
    EXPECT_EQ(contents(queue), "lopay");
}

TEST_F(OutputQueue, ReturnsAConsumedBlockToThePool) {
    const std::uint8_t* place = queue.allocate(5);
    append_shared_text(queue, "rest");
    queue.consume(4);
    EXPECT_FALSE(has_back(pool, place));
    queue.consume(1);
    EXPECT_TRUE(has_back(pool, place));
    EXPECT_EQ(contents(queue), "rest");
}

// The first block of little output is a small one.
TEST_F(OutputQueue, ReturnsBlocksOfBothSizes) {
    const std::uint8_t* small = queue.allocate(small_block_size);
    const std::uint8_t* large = queue.allocate(1);
    queue.consume(small_block_size);
    EXPECT_TRUE(has_back(pool, small));
    EXPECT_FALSE(has_back(pool, large, block_size));
    queue.consume(1);
    EXPECT_TRUE(has_back(pool, large, block_size));
    const std::uint8_t* first = queue.allocate(small_block_size + 1);
    queue.consume(small_block_size + 1);
    EXPECT_TRUE(has_back(pool, first, block_size));
}

TEST_F(OutputQueue, ReturnsItsBlockWhenItRunsEmpty) {
    const std::uint8_t* place = queue.allocate(5);
    queue.consume(5);
    EXPECT_TRUE(has_back(pool, place));
}

TEST_F(OutputQueue, ClearDropsEverythingAndReturnsTheBlocks) {
    const std::uint8_t* place = queue.allocate(5);
    append_shared_text(queue, "payload");
    queue.consume(2);
    queue.clear();
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(contents(queue), "");
    EXPECT_TRUE(has_back(pool, place));
    queue.append(as_bytes("again"));
    EXPECT_EQ(contents(queue), "again");
}

// As to another thread, which has a pool of its own.
TEST_F(OutputQueue, HandsOverBlocksAndMessages) {
    block_pool other_pool;
    output_queue other(other_pool);
    std::vector<output_segment> segments;
    const std::uint8_t* small = queue.allocate(small_block_size);
    const std::uint8_t* large = queue.allocate(5);
    append_shared_text(queue, "shared");
    const std::string all = contents(queue);
    EXPECT_EQ(queue.hand_over(segments), 3U);
    EXPECT_TRUE(queue.empty());
    other.append(as_bytes("before"));
    other.take_over(segments);
    EXPECT_EQ(contents(other), "before" + all);
    other.clear();
    EXPECT_FALSE(has_back(pool, small));
    other_pool.move_to(pool);
    EXPECT_TRUE(has_back(pool, large, block_size));
    EXPECT_TRUE(has_back(pool, small));
}

TEST(OutputQueueLife, ReturnsItsBlocksWhenDestroyed) {
    block_pool pool;
    const std::uint8_t* place = nullptr;
    {
        output_queue queue(pool);
        place = queue.allocate(1);
    }
    EXPECT_TRUE(has_back(pool, place));
}

TEST(OutputQueueLife, QueuesOfOnePoolDoNotShareABlock) {
    block_pool pool;
    output_queue one(pool);
    output_queue other(pool);
    allocate_text(one, "one");
    allocate_text(other, "other");
    EXPECT_EQ(contents(one), "one");
    EXPECT_EQ(contents(other), "other");
}

TEST_F(OutputQueue, NeverRunningEmptyStaysInOrder) {
    append_shared_text(queue, pattern(10));
    for (int round = 0; round < 1000; ++round) {
        append_shared_text(queue, pattern(10));
        queue.consume(10);
        ASSERT_EQ(contents(queue), pattern(10)) << round;
    }
}

TEST_F(OutputQueue, BehavesLikeAStringUnderRandomUse) {
    std::mt19937 random(1);
    const auto below = [&random](std::size_t n) { return random() % n; };
    std::string model;
    for (int round = 0; round < 10'000; ++round) {
        const std::string text = pattern(1 + below(below(20) == 0 ? block_size : 200));
        switch (below(6)) {
            case 0:
                allocate_text(queue, text);
                model += text;
                break;
            case 1:
                queue.append(as_bytes(text));
                model += text;
                break;
            case 2:
                append_shared_text(queue, text);
                model += text;
                break;
            case 3:
            case 4: {
                const std::size_t n = below(std::min<std::size_t>(model.size(), 2000) + 1);
                queue.consume(n);
                model.erase(0, n);
                break;
            }
            default:
                if (below(50) != 0) break;
                queue.clear();
                model.clear();
        }
        ASSERT_EQ(queue.size(), model.size());
        ASSERT_EQ(queue.empty(), model.empty());
        if (round % 16 != 0) continue;
        ASSERT_TRUE(contents(queue) == model) << "round " << round;
    }
}

// What two threads do, each with a pool of its own.
class output_queue_hand_over : public ::testing::Test {
  protected:
    block_pool pool;
    block_pool other_pool;
    output_queue from{pool};
    output_queue to{other_pool};
};

TEST_F(output_queue_hand_over, moves_everything) {
    from.append(as_bytes("begin"));
    from.consume(2);
    const message_ptr owner =
        message::create("t", as_bytes(std::string(5000, 'p')), qos::at_most_once, false);
    from.append_shared(owner, owner->payload());
    std::vector<output_segment> crossing;
    EXPECT_EQ(from.hand_over(crossing), 2U);
    EXPECT_TRUE(from.empty());
    to.append(as_bytes("before "));
    to.take_over(crossing);
    EXPECT_EQ(contents(to), "before gin" + std::string(5000, 'p'));
    to.consume(to.size());
    EXPECT_TRUE(to.empty());
}

TEST_F(output_queue_hand_over, copies_out) {
    from.append(as_bytes(std::string(20'000, 'a')));
    from.consume(19'990);
    std::vector<std::uint8_t> out = {'x'};
    from.copy_out(out);
    EXPECT_TRUE(from.empty());
    EXPECT_EQ(as_text(out), "xaaaaaaaaaa");
}

TEST_F(output_queue_hand_over, keeps_what_is_left_of_borrowed_bytes) {
    std::string lender = "borrowed";
    to.append_borrowed(as_bytes(lender));
    to.consume(3);
    to.keep_borrowed();
    lender.assign(8, '#');
    EXPECT_EQ(contents(to), "rowed");
    to.append(as_bytes("!"));
    EXPECT_EQ(contents(to), "rowed!");
    to.keep_borrowed();  // nothing to do
    to.consume(to.size());
    EXPECT_TRUE(to.empty());
}

}  // namespace
}  // namespace amqtt
