// Several clients of one broker do what the input says, in turns; counters and structures must
// agree all the time.
#include <gtest/gtest.h>

#include "input.hpp"
#include "support/broker_bed.hpp"

namespace {

using namespace amqtt;
using namespace amqtt::test;

broker_settings tight_settings() {
    broker_settings settings;
    settings.limits.max_packet_size = 1000;
    settings.max_inflight_messages = 2;
    settings.queue = {4, 200};
    settings.output_high_water = 100;
    settings.session_expiry = std::chrono::seconds(2);
    return settings;
}

// A valid packet that the two bytes choose.
bytes packet_of(std::uint8_t kind, std::uint8_t detail) {
    static const std::string names[] = {"a", "a/b", "$x", "b"};
    static const std::string filters[] = {"a", "#", "a/+", "+/b"};
    const std::string& name = names[detail >> 6];
    const unsigned level = (detail >> 4 & 3) % 3;
    const unsigned id = 1 + (detail & 3);
    switch (kind % 10) {
        case 0:
            return connect({.client_id = name,
                            .clean = (detail & 1) != 0,
                            .keep_alive = detail & 2U,
                            .will = {{"a", "gone", level, (detail & 4) != 0}}});
        case 1:
        case 2:
            return publish({.topic = name,
                            .payload = std::string(detail & 15, 'p'),
                            .level = level,
                            .packet_id = id,
                            .retain = (detail & 8) != 0});
        case 3:
            return puback(id);
        case 4:
            return pubrec(id);
        case 5:
            return pubrel(id);
        case 6:
            return pubcomp(id);
        case 7:
            return subscribe(id, {{filters[detail >> 6], level}});
        case 8:
            return unsubscribe(id, {filters[detail >> 6]});
        default:
            return pingreq();
    }
}

void act(broker_bed& bed, peer& on, fuzz::input& in) {
    const std::uint8_t what = in.byte();
    switch (what % 16) {
        case 0:
            on.abort();
            break;
        case 1:
            on.stop_reading();
            break;
        case 2:
            on.read_on();
            break;
        case 3:
            bed.advance(std::chrono::milliseconds(100) * in.byte(), true);
            break;
        case 4:
            if (!bed.hooks.tickets.empty()) {
                bed.decide(in.byte() % bed.hooks.tickets.size(), (what & 16) != 0);
            }
            break;
        case 5: {
            const bytes_view raw = in.bytes(in.byte() % 32U);
            on.send(bytes(raw.begin(), raw.end()));
            break;
        }
        case 6:
            on.send(disconnect());
            break;
        case 7:
            bed.publish("$x", "p", {}, (what & 16) != 0);
            break;
        default:
            on.send(packet_of(what >> 4, in.byte()));
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    testing::GTEST_FLAG(break_on_failure) = true;
    fuzz::input in(data, size);
    broker_bed bed(tight_settings());
    bed.hooks.judge = [&](const client&) { return static_cast<verdict>(in.byte() % 4 % 3); };
    for (int turn = 0; turn < 200 && !in.empty(); ++turn) {
        const std::string name(1, static_cast<char>('0' + in.byte() % 4));
        peer& on = bed[name].is_open() ? bed[name] : bed.reopen(name);
        act(bed, on, in);
        bed.expect_consistent();
    }
    bed.abort_all();
    bed.advance(std::chrono::seconds(3));
    bed.expect_consistent();
    fuzz::check(bed.core.sessions().size() == 0);
    fuzz::check(bed.core.routes().subscription_count() == 0);
    return 0;
}
