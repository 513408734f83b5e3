// Clients that never give up, a broker that crashes at any moment, and a store that keeps what it
// has committed: everything acknowledged arrives, QoS 2 exactly once, and in order.
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/broker_bed.hpp"
#include "support/random.hpp"

namespace amqtt::test {
namespace {

struct received_publish {
    std::string topic;
    std::string payload;
    unsigned level = 0;
    unsigned packet_id = 0;
};

unsigned id_of(const bytes& packet, std::size_t at = 2) {
    return packet[at] * 256U + packet[at + 1];
}

received_publish read_publish(const bytes& packet) {
    received_publish found;
    found.level = (packet[0] >> 1) & 3U;
    const std::size_t topic_size = id_of(packet, 2);
    std::size_t at = 4 + topic_size;
    found.topic.assign(packet.begin() + 4, packet.begin() + static_cast<std::ptrdiff_t>(at));
    if (found.level > 0) {
        found.packet_id = id_of(packet, at);
        at += 2;
    }
    found.payload.assign(packet.begin() + static_cast<std::ptrdiff_t>(at), packet.end());
    return found;
}

// A client with a session that lasts; what it has sent is on its way until it is acknowledged.
class persistent_client {
  public:
    persistent_client(std::string name, bool subscribes)
        : name_(std::move(name)), subscribes_(subscribes) {}

    void connect_to(broker_bed& bed) {
        is_admitted_ = false;
        bed.reopen(name_).send(connect({.client_id = name_, .clean = false}));
    }
    void publish_next(broker_bed& bed, std::mt19937& random) {
        if (on_their_way_.size() > 20) return;
        const unsigned level = 1 + below(random, 2);
        const std::string topic = "m/" + std::to_string(below(random, 3));
        do {
            last_id_ = last_id_ % 50 + 1;  // few, so that they are used again soon
        } while (is_used(last_id_));
        on_their_way_.push_back({{.topic = topic,
                                  .payload = std::to_string(++sequence_),
                                  .level = level,
                                  .packet_id = last_id_,
                                  // At QoS 1 an older one may be sent again after a newer one.
                                  .retain = level == 2 && below(random, 2) == 0}});
        if (on_their_way_.back().what.retain) retained[topic] = on_their_way_.back().what.payload;
        if (is_admitted_) bed[name_].send(publish(on_their_way_.back().what));
    }
    // Reacts to what has come.
    void react(broker_bed& bed) {
        peer& at = bed[name_];
        for (const bytes& packet : at.take_packets())
            react(at, packet);
    }
    bool is_connected(broker_bed& bed) const { return is_admitted_ && bed[name_].is_open(); }
    bool is_idle() const { return on_their_way_.empty(); }
    unsigned published() const { return sequence_; }

    std::map<std::string, std::string> retained;  // as published last
    std::vector<received_publish> messages;       // as the application got them

  private:
    struct outgoing {
        publish_spec what;
        bool is_released = false;  // PUBREC has come
    };

    bool is_used(unsigned id) const {
        return std::any_of(on_their_way_.begin(), on_their_way_.end(),
                           [id](const outgoing& each) { return each.what.packet_id == id; });
    }
    outgoing* find(unsigned id, unsigned level) {
        for (outgoing& each : on_their_way_)
            if (each.what.packet_id == id && each.what.level == level) return &each;
        return nullptr;
    }
    void done(unsigned id) {
        std::erase_if(on_their_way_,
                      [id](const outgoing& each) { return each.what.packet_id == id; });
    }
    void react(peer& at, const bytes& packet) {
        switch (packet[0] >> 4) {
            case 2: {
                ASSERT_EQ(packet[3], 0);
                // Once it was told that it has a session it must never be without.
                ASSERT_TRUE(packet[2] == 1 || !knows_session_) << name_ << " has lost its session";
                knows_session_ = true;
                is_admitted_ = true;
                if (subscribes_ && !is_subscribed_) at.send(subscribe(9, {{"m/#", 2}}));
                for (outgoing& each : on_their_way_) {
                    each.what.dup = true;
                    at.send(each.is_released ? pubrel(each.what.packet_id) : publish(each.what));
                }
                break;
            }
            case 3:
                receive(at, read_publish(packet));
                break;
            case 4:
                if (find(id_of(packet), 1)) done(id_of(packet));
                break;
            case 5:
                if (outgoing* each = find(id_of(packet), 2)) each->is_released = true;
                at.send(pubrel(id_of(packet)));
                break;
            case 6:
                unreleased_.erase(id_of(packet));
                at.send(pubcomp(id_of(packet)));
                break;
            case 7: {
                const outgoing* each = find(id_of(packet), 2);
                if (each && each->is_released) done(id_of(packet));
                break;
            }
            case 9:
                is_subscribed_ = true;
                break;
            default:
                FAIL() << "packet type " << (packet[0] >> 4);
        }
    }
    void receive(peer& at, const received_publish& m) {
        if (m.level == 1) {
            messages.push_back(m);
            at.send(puback(m.packet_id));
        } else if (m.level == 2) {
            if (unreleased_.insert(m.packet_id).second) messages.push_back(m);
            at.send(pubrec(m.packet_id));
        }
    }

    std::string name_;
    bool subscribes_;
    bool is_admitted_ = false;
    bool knows_session_ = false;
    bool is_subscribed_ = false;
    unsigned last_id_ = 0;
    unsigned sequence_ = 0;
    std::deque<outgoing> on_their_way_;
    std::set<unsigned> unreleased_;
};

class world {
  public:
    explicit world(unsigned seed) : random_(seed) { start(); }

    void start() {
        bed_.reset();
        broker_settings settings;
        settings.max_inflight_messages = 1 + below(random_, 8);
        bed_ = std::make_unique<broker_bed>(settings);
        bed_->keep_in(store_);
    }
    void step() {
        switch (below(random_, 20)) {
            case 0:
                crash();
                break;
            case 1:
                one_of_them().connect_to(*bed_);
                break;
            case 2:
            case 3:
            case 4:
                bed_->commit();
                break;
            case 5:
            case 6:
            case 7:
                bed_->advance(std::chrono::milliseconds(100));
                break;
            case 8:
            case 9:
            case 10:
            case 11:
            case 12:
                publisher.publish_next(*bed_, random_);
                break;
            default:
                one_of_them().react(*bed_);
        }
    }
    // Lets everybody finish.
    void settle() {
        for (int round = 0; round < 20 || !is_settled(); ++round) {
            ASSERT_LT(round, 5000) << "something does not go on";
            for (persistent_client* each : {&publisher, &subscriber}) {
                if (!each->is_connected(*bed_)) {
                    if (round % 10 == 0) each->connect_to(*bed_);
                }
                each->react(*bed_);
            }
            bed_->commit_all();
        }
    }
    memory_store& store() { return store_; }
    broker_bed& bed() { return *bed_; }

    persistent_client publisher{"publisher", false};
    persistent_client subscriber{"subscriber", true};

  private:
    bool is_settled() const {
        return publisher.is_idle() && store_.deliveries.empty() && store_.received.empty();
    }
    persistent_client& one_of_them() { return below(random_, 2) == 0 ? publisher : subscriber; }
    void crash() {
        // What was being committed may have been, though nobody heard of it.
        if (store_.handed_over && below(random_, 2) == 0) store_.write();
        start();
        publisher.connect_to(*bed_);
        subscriber.connect_to(*bed_);
    }

    std::mt19937 random_;
    memory_store store_;
    std::unique_ptr<broker_bed> bed_;
};

class crash_model : public testing::TestWithParam<unsigned> {};

TEST_P(crash_model, loses_nothing_and_duplicates_no_qos_2_message) {
    world w(GetParam());
    // The subscription is there before the first message.
    w.subscriber.connect_to(w.bed());
    w.publisher.connect_to(w.bed());
    w.settle();
    for (int i = 0; i < 2000; ++i)
        w.step();
    w.settle();
    ASSERT_TRUE(w.publisher.is_idle());

    std::map<std::string, unsigned> times;
    std::map<std::string, unsigned> newest;  // by topic and QoS
    for (const received_publish& m : w.subscriber.messages) {
        const unsigned sequence = static_cast<unsigned>(std::stoul(m.payload));
        const unsigned before = times[m.payload]++;
        EXPECT_TRUE(m.level == 1 || before == 0) << "twice: " << m.payload;
        unsigned& last = newest[m.topic + "/" + std::to_string(m.level)];
        EXPECT_TRUE(before != 0 || sequence > last) << "out of order on " << m.topic;
        last = std::max(last, sequence);
    }
    EXPECT_EQ(times.size(), w.publisher.published());
    EXPECT_GT(w.publisher.published(), 100U);
    for (const auto& [topic, payload] : w.publisher.retained) {
        const message_ptr kept = w.bed().core.routes().retained().find(topic);
        ASSERT_TRUE(kept);
        EXPECT_EQ(as_text(kept->payload()), payload);
    }
    // And nothing is left behind.
    EXPECT_EQ(w.store().sessions.size(), 2U);
    EXPECT_EQ(w.store().subscriptions.size(), 1U);
    EXPECT_TRUE(w.store().messages.empty());
    EXPECT_TRUE(w.store().deliveries.empty());
    EXPECT_TRUE(w.store().received.empty());
    EXPECT_EQ(w.store().retained.size(), w.publisher.retained.size());
}

INSTANTIATE_TEST_SUITE_P(seeds, crash_model, testing::Range(0U, 200U));

}  // namespace
}  // namespace amqtt::test
