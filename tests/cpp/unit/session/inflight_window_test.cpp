#include "session/inflight_window.hpp"

#include <algorithm>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace amqtt {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

message_ptr some_message(std::string_view payload = "payload") {
    return message::create("t", as_bytes(payload), qos::at_least_once, false);
}

class InflightWindow : public testing::Test {
  protected:
    std::uint16_t add_next() {
        const std::uint16_t id = window.next_packet_id();
        window.add(id, qos::at_least_once, message_ptr(content), false);
        return id;
    }

    void remove(std::uint16_t id) { window.remove(*window.find(id)); }

    std::vector<std::uint16_t> order() {
        std::vector<std::uint16_t> ids;
        window.for_each([&ids](inflight_entry& entry) { ids.push_back(entry.packet_id); });
        return ids;
    }

    inflight_window window;
    message_ptr content = some_message();
};

TEST_F(InflightWindow, StartsEmpty) {
    EXPECT_TRUE(window.empty());
    EXPECT_EQ(window.size(), 0U);
    EXPECT_EQ(window.find(0), nullptr);
    EXPECT_EQ(window.find(1), nullptr);
    EXPECT_THAT(order(), IsEmpty());
    window.clear();
    EXPECT_TRUE(window.empty());
}

TEST_F(InflightWindow, HandsOutIdentifiersInTurn) {
    for (int id = 1; id <= 65'535; ++id)
        ASSERT_EQ(window.next_packet_id(), id);
    EXPECT_EQ(window.next_packet_id(), 1);
}

// 3.1.1:MQTT-2.3.1-1@server 3.1.1:MQTT-2.3.1-4@server
TEST_F(InflightWindow, WrapsAroundWithoutZeroAndSkipsWhatIsInUse) {
    EXPECT_EQ(add_next(), 1);
    EXPECT_EQ(add_next(), 2);
    for (int id = 3; id < 65'535; ++id)
        EXPECT_EQ(window.next_packet_id(), id);
    EXPECT_EQ(add_next(), 65'535);
    EXPECT_EQ(window.next_packet_id(), 3);
    remove(2);
    for (int id = 4; id < 65'535; ++id)
        window.next_packet_id();
    EXPECT_EQ(window.next_packet_id(), 2);
}

TEST_F(InflightWindow, HasNoIdentifierWhenAllAreInUse) {
    for (int i = 0; i < 65'535; ++i)
        ASSERT_NE(add_next(), 0);
    EXPECT_EQ(window.size(), 65'535U);
    EXPECT_EQ(window.next_packet_id(), 0);
    remove(4711);
    EXPECT_EQ(window.next_packet_id(), 4711);
    window.add(4711, qos::exactly_once, message_ptr(content), false);
    EXPECT_EQ(window.next_packet_id(), 0);
    const auto ids = order();
    ASSERT_EQ(ids.size(), 65'535U);
    EXPECT_EQ(ids.front(), 1);
    EXPECT_EQ(ids.back(), 4711);
    window.clear();
    EXPECT_NE(window.next_packet_id(), 0);
}

TEST_F(InflightWindow, KeepsWhatWasSent) {
    const message_ptr other = some_message("other");
    window.add(1, qos::at_least_once, message_ptr(content), false).ticket = 42;
    window.add(2, qos::exactly_once, message_ptr(other), true);
    const inflight_entry* first = window.find(1);
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(first->state, inflight_state::awaiting_puback);
    EXPECT_EQ(first->content, content);
    EXPECT_EQ(first->packet_id, 1);
    EXPECT_EQ(first->ticket, 42U);
    EXPECT_FALSE(first->retain);
    const inflight_entry* second = window.find(2);
    ASSERT_NE(second, nullptr);
    EXPECT_EQ(second->state, inflight_state::awaiting_pubrec);
    EXPECT_EQ(second->content, other);
    EXPECT_TRUE(second->retain);
    EXPECT_EQ(window.find(0), nullptr);
    EXPECT_EQ(window.find(3), nullptr);
    EXPECT_EQ(window.find(9), nullptr) << "of the same slot";
}

TEST_F(InflightWindow, AReusedIdentifierStartsAfresh) {
    inflight_entry& old = window.add(1, qos::exactly_once, message_ptr(content), true);
    old.ticket = 42;
    old.state = inflight_state::awaiting_pubcomp;
    old.share = std::make_shared<const std::string>("$share/g/t");
    old.sent = false;
    old.ids = std::make_shared<const std::vector<std::uint32_t>>(1, 7);
    remove(1);
    EXPECT_EQ(window.find(1), nullptr);
    const inflight_entry& entry = window.add(1, qos::at_least_once, message_ptr(content), false);
    EXPECT_EQ(entry.ticket, 0U);
    EXPECT_EQ(entry.state, inflight_state::awaiting_puback);
    EXPECT_FALSE(entry.retain);
    EXPECT_FALSE(entry.share);
    EXPECT_FALSE(entry.sent);
    EXPECT_EQ(entry.ids, nullptr);
    EXPECT_THAT(order(), ElementsAre(1));
}

TEST_F(InflightWindow, KeepsTheOrderOfSending) {
    for (const std::uint16_t id : {5, 3, 8, 1, 65'535})
        window.add(id, qos::at_least_once, message_ptr(content), false);
    EXPECT_THAT(order(), ElementsAre(5, 3, 8, 1, 65'535));
    remove(8);  // in the middle
    EXPECT_THAT(order(), ElementsAre(5, 3, 1, 65'535));
    remove(5);  // first
    EXPECT_THAT(order(), ElementsAre(3, 1, 65'535));
    remove(65'535);  // last
    EXPECT_THAT(order(), ElementsAre(3, 1));
    window.add(5, qos::at_least_once, message_ptr(content), false);
    EXPECT_THAT(order(), ElementsAre(3, 1, 5));
    for (const std::uint16_t id : {1, 3, 5})
        remove(id);
    EXPECT_TRUE(window.empty());
    EXPECT_THAT(order(), IsEmpty());
}

TEST_F(InflightWindow, IdentifiersOfTheSameLowBitsLiveTogether) {
    const std::vector<std::uint16_t> ids{1, 9, 17, 33, 0x8001, 0x4001, 0xC001, 65'529};
    for (const std::uint16_t id : ids)
        window.add(id, qos::exactly_once, message_ptr(content), false).ticket = id;
    EXPECT_EQ(order(), ids);
    for (const std::uint16_t id : ids) {
        ASSERT_NE(window.find(id), nullptr) << id;
        EXPECT_EQ(window.find(id)->ticket, id);
        EXPECT_EQ(window.find(id)->content, content);
    }
}

TEST_F(InflightWindow, FindsNothingUnderOtherIdentifiers) {
    window.add(1, qos::at_least_once, message_ptr(content), false);
    for (const std::uint16_t id : {0, 2, 9, 65'535})
        EXPECT_EQ(window.find(id), nullptr) << id;
}

TEST_F(InflightWindow, VisitorsMayChangeEntries) {
    window.add(1, qos::exactly_once, message_ptr(content), false);
    window.add(2, qos::exactly_once, message_ptr(content), false);
    window.for_each([](inflight_entry& entry) {
        entry.content.reset();
        entry.state = inflight_state::awaiting_pubcomp;
    });
    EXPECT_EQ(window.find(2)->content, nullptr);
    EXPECT_EQ(window.find(2)->state, inflight_state::awaiting_pubcomp);
    remove(1);
    remove(2);
    EXPECT_TRUE(window.empty());
}

TEST_F(InflightWindow, ClearKeepsTheTurn) {
    EXPECT_EQ(add_next(), 1);
    EXPECT_EQ(add_next(), 2);
    window.clear();
    EXPECT_TRUE(window.empty());
    EXPECT_EQ(window.find(1), nullptr);
    EXPECT_THAT(order(), IsEmpty());
    EXPECT_EQ(add_next(), 3);
    EXPECT_THAT(order(), ElementsAre(3));
}

TEST_F(InflightWindow, BehavesLikeAListUnderRandomUse) {
    struct sent {
        std::uint16_t id;
        message_ptr content;
    };
    std::mt19937 random(1);
    std::vector<sent> model;
    std::uint16_t previous = 0;
    bool wrapped = false;
    for (int round = 0; round < 200'000; ++round) {
        const bool draining = round % 5000 > 4000;
        if (model.empty() || random() % 100 < (draining ? 30U : 52U)) {
            const std::uint16_t id = window.next_packet_id();
            ASSERT_NE(id, 0);
            ASSERT_TRUE(std::none_of(model.begin(), model.end(),
                                     [id](const sent& s) { return s.id == id; }));
            wrapped |= id < previous;
            previous = id;
            const auto m = random() % 8 == 0 ? some_message() : content;
            window.add(id, qos::exactly_once, message_ptr(m), false);
            model.push_back({id, m});
        } else {
            // Mostly the oldest, as acknowledgements come, at times any.
            const std::size_t at = random() % 4 == 0 ? random() % model.size() : 0;
            remove(model[at].id);
            model.erase(model.begin() + static_cast<std::ptrdiff_t>(at));
        }
        ASSERT_EQ(window.size(), model.size());
        if (round % 50 != 0) continue;
        auto expected = model.begin();
        window.for_each([&](const inflight_entry& entry) {
            ASSERT_NE(expected, model.end());
            ASSERT_EQ(entry.packet_id, expected->id);
            ASSERT_EQ(entry.content, expected->content);
            ++expected;
        });
        ASSERT_EQ(expected, model.end());
    }
    EXPECT_TRUE(wrapped);
}

}  // namespace
}  // namespace amqtt
