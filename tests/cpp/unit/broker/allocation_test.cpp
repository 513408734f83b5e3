// What the data path takes from the heap in the steady state.
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {
thread_local std::size_t allocations = 0;
}

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}

void operator delete(void* memory) noexcept {
    std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace amqtt::test {
namespace {

// Lets the broker's core work without what a test bed needs around it.
class steady_state {
  public:
    steady_state(unsigned level, std::size_t subscribers) : level_(level) {
        bed_["p"].login({.client_id = "p"});
        for (std::size_t i = 0; i < subscribers; ++i) {
            const std::string name = "s" + std::to_string(i);
            bed_[name].login({.client_id = name}).subscribe("a/+/c", level);
            subscribers_.push_back(&bed_[name].core());
        }
        for (unsigned id = 1; id <= 10; ++id) {
            const std::string payload(64, 'x');
            published_.push_back(publish({.topic = "a/" + std::to_string(id) + "/c",
                                          .payload = payload,
                                          .level = level,
                                          .packet_id = level == 0 ? 0U : id}));
            acknowledged_.push_back(puback(id));
        }
    }

    // How many allocations a message takes. Each round is ten messages, which are acknowledged.
    double per_message(int rounds) {
        run(10);
        const std::size_t before = allocations;
        run(rounds);
        return static_cast<double>(allocations - before) / (10.0 * rounds);
    }

  private:
    void run(int rounds) {
        for (int round = 0; round < rounds; ++round) {
            for (const bytes& packet : published_)
                give(bed_["p"].core(), packet);
            send_all(bed_["p"].core());
            for (client* c : subscribers_) {
                send_all(*c);
                if (level_ > 0) acknowledge(*c);
            }
        }
    }
    void give(client& c, const bytes& packet) { bed_.core.receive(c, packet, bed_.now); }
    // Packet identifiers are given out in turn, so the acknowledgements are made anew.
    void acknowledge(client& c) {
        for (unsigned i = 0; i < 10; ++i) {
            bytes& packet = acknowledged_[i];
            const unsigned id = ++last_id_[&c] % 65536 == 0 ? ++last_id_[&c] : last_id_[&c];
            packet[2] = static_cast<std::uint8_t>(id >> 8 & 0xFF);
            packet[3] = static_cast<std::uint8_t>(id & 0xFF);
            give(c, packet);
        }
    }
    void send_all(client& c) {
        const std::size_t size = c.connection.output().size();
        EXPECT_GT(size, 0U);
        sent_ += size;
        c.flush_requested = false;
        c.connection.output().consume(size);
        bed_.core.output_sent(c, size);
    }

    broker_bed bed_;
    unsigned level_;
    std::vector<client*> subscribers_;
    std::vector<bytes> published_;
    std::vector<bytes> acknowledged_;
    std::map<client*, unsigned> last_id_;
    std::size_t sent_ = 0;
};

TEST(Allocation, NoneForAMessageAtQos0) {
    // A publisher at QoS 0 is sent nothing.
    broker_bed bed;
    bed["p"].login({.client_id = "p"});
    bed["s"].login({.client_id = "s"}).subscribe("a/#");
    client& publisher = bed["p"].core();
    client& subscriber = bed["s"].core();
    const bytes packet = publish({.topic = "a/b", .payload = "hello"});
    const auto run = [&](int count) {
        for (int i = 0; i < count; ++i) {
            bed.core.receive(publisher, packet, bed.now);
            if (i % 10 != 9) continue;
            const std::size_t size = subscriber.connection.output().size();
            ASSERT_EQ(size, 10 * packet.size());
            subscriber.flush_requested = false;
            subscriber.connection.output().consume(size);
            bed.core.output_sent(subscriber, size);
        }
    };
    run(100);
    const std::size_t before = allocations;
    run(10'000);
    EXPECT_EQ(allocations - before, 0U);
}

TEST(Allocation, OneForAMessageAtQos1) {
    EXPECT_LE(steady_state(1, 1).per_message(1000), 1.0);
}

TEST(Allocation, OneForAMessageToManyAtQos1) {
    EXPECT_LE(steady_state(1, 50).per_message(200), 1.0);
}

}  // namespace
}  // namespace amqtt::test

#endif
