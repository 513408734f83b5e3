// Random subscriptions and messages against a model that looks at every filter every time.
#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "support/broker_bed.hpp"
#include "support/random.hpp"
#include "topic/filter.hpp"

namespace amqtt::test {
namespace {

std::string random_path(std::mt19937& random, std::vector<std::string> levels, bool is_filter) {
    if (is_filter) levels.insert(levels.end(), {"+", "+"});
    std::string path = levels[random() % levels.size()];
    for (std::size_t depth = random() % 3; depth > 0; --depth)
        path += "/" + levels[random() % levels.size()];
    if (is_filter && random() % 4 == 0) path = path.empty() ? "#" : path + "/#";
    return path.empty() ? "a" : path;
}

// One session of the model: who it is connected as, and what it has subscribed to.
struct model_session {
    bool clean = true;
    std::string connection;  // empty while away
    std::map<std::string, unsigned> filters;

    // The QoS a topic is granted, or -1.
    int granted(const std::string& topic) const {
        int best = -1;
        for (const auto& [filter, level] : filters) {
            if (matches(filter, topic)) best = std::max(best, static_cast<int>(level));
        }
        return best;
    }
};

class routing_model : public testing::TestWithParam<unsigned> {
  protected:
    static constexpr std::size_t session_count = 12;

    routing_model() : random_(GetParam()) {
        bed_["pub"].login({.client_id = "pub"});
        for (std::size_t i = 0; i < session_count; ++i)
            connect_session(i);
    }

    std::string id_of(std::size_t i) const { return "s" + std::to_string(i); }

    void connect_session(std::size_t i) {
        model_session& s = model_[i];
        const bool clean = random_() % 2 == 0;
        const bool present = !clean && !s.clean && known_.contains(i);
        if (!present) s.filters.clear();
        s.clean = clean;
        s.connection = id_of(i) + "/" + std::to_string(++connections_);
        bed_[s.connection].login({.client_id = id_of(i), .clean = clean}, present);
        if (clean)
            known_.erase(i);
        else
            known_.insert(i);
        acknowledge(s);  // what was queued meanwhile is another test's business
    }

    void disconnect_session(std::size_t i) {
        model_session& s = model_[i];
        if (s.connection.empty()) return;
        if (random_() % 2 == 0)
            bed_[s.connection].send(disconnect());
        else
            bed_[s.connection].abort();
        s.connection.clear();
        if (s.clean) s.filters.clear();
    }

    void subscribe_session(model_session& s) {
        std::vector<std::pair<std::string, unsigned>> filters;
        std::vector<unsigned> codes;
        for (std::size_t n = 1 + random_() % 3; n > 0; --n) {
            filters.emplace_back(random_path(random_, levels_, true), below(random_, 3));
            codes.push_back(filters.back().second);
            s.filters[filters.back().first] = filters.back().second;
        }
        bed_[s.connection].send(subscribe(1, filters)).expect(suback(1, codes)).expect_nothing();
    }

    void unsubscribe_session(model_session& s) {
        std::string filter = random_path(random_, levels_, true);
        if (!s.filters.empty() && random_() % 4 != 0) {
            auto it = s.filters.begin();
            std::advance(it, static_cast<long>(random_() % s.filters.size()));
            filter = it->first;
        }
        s.filters.erase(filter);
        bed_[s.connection].send(unsubscribe(2, {filter})).expect(unsuback(2)).expect_nothing();
    }

    void publish_somewhere() {
        const std::string topic = random_path(random_, levels_, false);
        const unsigned level = below(random_, 3);
        if (topic.starts_with('$')) {
            bed_.publish(topic, "p", static_cast<qos>(level));
        } else {
            bed_["pub"].send(
                publish({.topic = topic, .payload = "p", .level = level, .packet_id = 1}));
            if (level == 2) bed_["pub"].send(pubrel(1));
            bed_["pub"].take();
        }
        for (auto& [i, s] : model_) {
            if (!s.connection.empty()) check_delivery(s, topic, level);
        }
    }

    // 3.1.1: once at the highest QoS granted, but at no more than it was published with.
    void check_delivery(model_session& s, const std::string& topic, unsigned level) {
        const int granted = s.granted(topic);
        const std::vector<bytes> got = bed_[s.connection].take_packets();
        ASSERT_EQ(got.size(), granted < 0 ? 0U : 1U) << s.connection << " " << topic;
        if (got.empty()) return;
        const unsigned expected = std::min(level, static_cast<unsigned>(granted));
        const unsigned id = expected == 0 ? 0 : id_in(got[0]);
        EXPECT_EQ(got[0],
                  publish({.topic = topic, .payload = "p", .level = expected, .packet_id = id}));
        acknowledge_one(s, got[0]);
    }

    static unsigned id_in(const bytes& message) {
        const std::size_t at = 4U + message[3];  // behind a topic of less than 100 bytes
        return static_cast<unsigned>(message[at] << 8 | message[at + 1]);
    }

    void acknowledge_one(model_session& s, const bytes& message) {
        peer& on = bed_[s.connection];
        const unsigned level = (message[0] >> 1) & 3;
        if (level == 1) on.send(puback(id_in(message)));
        if (level == 2) {
            const unsigned id = id_in(message);
            on.send(pubrec(id)).expect(pubrel(id)).send(pubcomp(id));
        }
    }

    void acknowledge(model_session& s) {
        for (auto got = bed_[s.connection].take_packets(); !got.empty();
             got = bed_[s.connection].take_packets()) {
            for (const bytes& message : got)
                acknowledge_one(s, message);
        }
    }

    void step() {
        const std::size_t i = random_() % session_count;
        model_session& s = model_[i];
        switch (random_() % 12) {
            case 0:
                disconnect_session(i);
                break;
            case 1:
                connect_session(i);
                break;  // takes over when it is connected
            case 2:
            case 3:
                if (!s.connection.empty()) subscribe_session(s);
                break;
            case 4:
                if (!s.connection.empty()) unsubscribe_session(s);
                break;
            default:
                publish_somewhere();
        }
    }

    const std::vector<std::string> levels_{"a", "b", "", "$x"};
    std::mt19937 random_;
    broker_bed bed_;
    std::map<std::size_t, model_session> model_;
    std::set<std::size_t> known_;  // sessions the broker keeps or has kept
    int connections_ = 0;
};

// 3.1.1:MQTT-3.8.4-6@server 3.1.1:MQTT-4.7.2-1@server
TEST_P(routing_model, delivers_what_the_model_says) {
    for (int i = 0; i < 3000 && !HasFailure(); ++i) {
        SCOPED_TRACE(i);
        step();
        if (i % 100 == 0) bed_.expect_consistent();
    }
}

INSTANTIATE_TEST_SUITE_P(seeds, routing_model, testing::Values(1U, 2U, 3U, 4U));

// 3.1.1:MQTT-4.6.0-6@server
class ordering : public testing::TestWithParam<unsigned> {};

// A subscriber that reads and acknowledges by and by.
class slow_subscriber {
  public:
    explicit slow_subscriber(peer& on) : peer_(on) {
        on.login({.client_id = "sub"}).subscribe("t/#", 2);
        on.stop_reading();
    }

    void take() {
        stream_ = stream_ + peer_.take();
        for (const bytes& one : split_packets(std::exchange(stream_, {}))) {
            const bool whole = one.size() >= 2 && one.size() == 2U + one[1];
            if (whole)
                take_packet(one);
            else
                stream_ = one;
        }
    }
    void acknowledge_one() {
        if (acknowledgements_.empty()) return;
        peer_.send(acknowledgements_.front());
        acknowledgements_.pop_front();
    }
    void read_some(std::size_t n) {
        peer_.read_some(n);
        take();
    }
    void read_all() {
        peer_.read_on();
        for (take(); !acknowledgements_.empty(); take())
            acknowledge_one();
    }
    const std::vector<std::string>& payloads() const { return payloads_; }

  private:
    void take_packet(const bytes& one) {
        const auto u16_at = [&](std::size_t at) { return unsigned{one[at]} << 8 | one[at + 1]; };
        if (one[0] == 0x62) {
            peer_.send(pubcomp(u16_at(2)));
            return;
        }
        const unsigned level = (one[0] >> 1) & 3;
        const std::size_t id_at = 4U + one[3];
        payloads_.emplace_back(one.begin() + static_cast<long>(id_at + 2), one.end());
        acknowledgements_.push_back(level == 1 ? puback(u16_at(id_at)) : pubrec(u16_at(id_at)));
    }

    peer& peer_;
    bytes stream_;
    std::deque<bytes> acknowledgements_;  // not sent yet
    std::vector<std::string> payloads_;
};

// Payload "publisher topic number": the numbers of each publisher and topic must rise by one.
void check_order(const std::vector<std::string>& payloads) {
    std::map<std::string, unsigned> next;
    for (const std::string& payload : payloads) {
        const auto space = payload.rfind(' ');
        unsigned& expected = next[payload.substr(0, space)];
        ASSERT_EQ(payload.substr(space + 1), std::to_string(expected)) << payload;
        ++expected;
    }
}

TEST_P(ordering, holds_for_each_publisher_and_topic_at_a_slow_subscriber) {
    std::mt19937 random(GetParam());
    broker_settings settings;
    settings.max_inflight_messages = 3;
    settings.output_high_water = 200;
    broker_bed bed(settings);
    slow_subscriber sub(bed["sub"]);
    for (const std::string who : {"0", "1", "2"})
        bed["p" + who].login({.client_id = who});
    constexpr unsigned total = 600;
    std::map<std::string, unsigned> next;  // number by publisher and topic
    for (unsigned sent = 0; sent < total;) {
        if (below(random, 2) == 0) {
            const std::string who = std::to_string(below(random, 3));
            const std::string topic = "t/" + std::to_string(below(random, 2));
            const std::string source = who + " " + topic;
            bed["p" + who].send(publish({.topic = topic,
                                         .payload = source + " " + std::to_string(next[source]++),
                                         .level = 1 + below(random, 2),
                                         .packet_id = ++sent}));
        } else if (below(random, 2) == 0) {
            sub.read_some(below(random, 100));
        } else {
            sub.acknowledge_one();
        }
    }
    sub.read_all();
    check_order(sub.payloads());
    EXPECT_EQ(sub.payloads().size(), total);
    EXPECT_EQ(bed.core.stats().publish_dropped, 0U);
}

INSTANTIATE_TEST_SUITE_P(seeds, ordering, testing::Values(1U, 2U, 3U));

}  // namespace
}  // namespace amqtt::test
