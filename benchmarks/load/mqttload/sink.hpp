// Account for what another client publishes.
#pragma once

#include "scenario.hpp"

struct Sink : Scenario {
    Conn sub;
    std::vector<bool> seen;
    u64 got = 0, dups = 0, reord = 0, foreign = 0, next = 0, last = 0;
    bool ready = false;
    void onUp(Conn& c, u64) override {
        put_subscribe(c, {O.prefix + "/#"}, O.subqos < 0 ? O.qos : O.subqos, 1);
        flush(c);
    }
    void onSuback(Conn&, int ok, int, u64) override {
        ready = ok == 1;
        if (!ready) return;
        J j;
        j.str("event", "ready").out();
    }
    void onPublish(Conn&, u8, const u8*, size_t, const u8* p, size_t len, u16, u64 now) override {
        Pay y;
        last = now;
        if (len < sizeof y) {
            foreign++;
            return;
        }
        memcpy(&y, p, sizeof y);
        if (y.magic != MAGIC || y.seq >= seen.size()) {
            foreign++;
            return;
        }
        if (seen[y.seq]) {
            dups++;
            return;
        }
        if (y.seq < next) reord++;
        next = std::max(next, y.seq + 1);
        seen[y.seq] = true;
        got++;
    }
};
static int run_sink() {
    Sink k;
    SC = &k;
    k.seen.assign(size_t(O.count), false);
    k.sub.id = "ml" + std::to_string(getpid()) + "k";
    k.sub.role = R_SUB;
    u64 deadline = now_ns() + u64(O.timeout * 1e9);
    Sample a = sample();
    open_conn(k.sub, now_ns());
    auto quiet = [&] { return k.last && now_ns() - k.last > u64(O.stall_ms) * 1000000ull; };
    bool ok =
        loop([&] { return k.got >= u64(O.count) || k.sub.st == S_DEAD || quiet(); }, deadline);
    loop([] { return false; }, now_ns() + 100000000ull);  // a message too many would come now
    if (k.sub.st == S_UP) send_disconnect(k.sub);
    Sample b = sample();
    J j;
    head(j);
    j.num("ok", ok && k.got == u64(O.count) && !k.dups && !k.foreign && !g_proto)
        .num("expected", double(O.count));
    j.num("delivered", double(k.got))
        .num("lost", double(O.count) - double(k.got))
        .num("dup", double(k.dups));
    j.num("reorder", double(k.reord))
        .num("foreign", double(k.foreign))
        .num("br_cpu_s", b.cpu - a.cpu, 3);
    tail(j);
    j.out();
    return k.got == u64(O.count) ? 0 : 1;
}
