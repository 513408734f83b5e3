// Store retained messages, then time their delivery to a new subscriber.
#pragma once

#include "scenario.hpp"

struct Retained : Scenario {
    Conn pub, sub;
    PidTable ids;
    u64 n = 0, sent = 0, acked = 0, got = 0, flagged = 0, t_sub = 0, t_first = 0, t_last = 0,
        suback = 0, up = 0;
    std::vector<u8> seen;
    bool wipe = false, go = false;
    std::string topic(u64 i) const {
        char t[128];
        snprintf(t, sizeof t, "%s/r%llu/%llu", O.prefix.c_str(), (unsigned long long)(i / 100),
                 (unsigned long long)i);
        return t;
    }
    void onUp(Conn& c, u64) override {
        up++;
        if (c.role == R_SUB) {
            t_sub = now_ns();
            put_subscribe(c, {O.filter}, O.subqos < 0 ? 0 : O.subqos, 1);
            flush(c);
        }
    }
    void onSuback(Conn&, int, int, u64 now) override { suback = now; }
    void onAck(Conn& c, int type, u16 pid, u8, u64) override {
        if (type == 5) {
            ack(c, 0x62, pid);
            return;
        }
        if (pid < ids.st.size() && ids.st[pid]) {
            ids.st[pid] = 0;
            ids.used--;
            acked++;
        }
    }
    void onPublish(Conn&, u8 h, const u8*, size_t, const u8* p, size_t len, u16, u64 now) override {
        Pay y;
        if (len < sizeof y) return;
        memcpy(&y, p, sizeof y);
        if (y.magic != MAGIC || y.seq >= n) return;
        if (h & 1) flagged++;
        if (!seen[y.seq]) {
            seen[y.seq] = 1;
            got++;
            t_last = now;
            if (!t_first) t_first = now;
        }
    }
    i64 pump(u64 now) override {
        if (!go || pub.st != S_UP || pub.wout) return 2000000;
        while (sent < n && (!O.qos || ids.used < u32(std::min<int>(O.window, pub.rmax))) &&
               pub.out.size() < 65536) {
            Pay y{MAGIC, 0, sent, now};
            put_publish(pub.out, topic(sent), O.qos, true, O.qos ? ids.take(now) : u16(0), &y,
                        wipe ? 0 : size_t(O.size));
            sent++;
            if (!O.qos) acked++;
        }
        if (pub.out.size()) flush(pub);
        return sent < n && !O.qos && !pub.wout ? 0 : 2000000;
    }
};
static int run_retained() {
    Retained r;
    SC = &r;
    if (!O.qos) O.qos = 1;
    r.n = u64(O.count);
    r.seen.assign(r.n, 0);
    r.ids.init(std::min<size_t>(65535, size_t(O.window) * 2 + 16));
    char id[64];
    snprintf(id, sizeof id, "ml%dr", getpid());
    r.pub.id = id;
    r.pub.role = R_PUB;
    r.sub.id = std::string(id) + "s";
    r.sub.role = R_SUB;
    u64 dl = now_ns() + u64(O.timeout * 1e9);
    Sample a = sample();
    bool ok = O.stored || bring_up({&r.pub}, dl, r.up);
    u64 t0 = now_ns();
    r.go = !O.stored;
    if (O.stored) r.acked = r.n;
    ok = ok && loop([&] { return r.acked >= r.n || r.pub.st == S_DEAD; }, dl);
    double store = double(now_ns() - t0) / 1e9;
    usleep(100000);
    Sample b = sample();
    ok = ok && bring_up({&r.sub}, dl, r.up);
    u64 prev = 0, pt = now_ns();
    ok = ok && loop(
                   [&] {
                       u64 t = now_ns();
                       if (r.got != prev) {
                           prev = r.got;
                           pt = t;
                       }
                       return r.got >= r.n || r.sub.st == S_DEAD ||
                              t - pt > u64(O.stall_ms) * 1000000ull;
                   },
                   dl);
    Sample c = sample();
    if (!O.keep && r.pub.st == S_UP) {
        r.wipe = true;
        r.sent = r.acked = 0;
        loop([&] { return r.acked >= r.n || r.pub.st == S_DEAD; }, dl);
    }
    double dt = r.t_last > r.t_sub ? double(r.t_last - r.t_sub) / 1e9 : 0;
    J j;
    head(j);
    j.num("ok", ok && r.got == r.n)
        .num("count", double(r.n))
        .num("size", O.size)
        .num("store_s", store, 4)
        .num("store_per_s", O.stored ? 0 : double(r.n) / store)
        .num("store_cpu_s_per_m", (b.cpu - a.cpu) / double(r.n) * 1e6, 3);
    j.num("delivered", double(r.got))
        .num("lost", double(r.n - r.got))
        .num("retain_flag", double(r.flagged))
        .num("first_ms", r.t_first ? double(r.t_first - r.t_sub) / 1e6 : 0, 3)
        .num("deliver_ms", dt * 1e3, 3)
        .num("deliver_per_s", dt > 0 ? double(r.got) / dt : 0)
        .num("deliver_cpu_s_per_m", r.got ? (c.cpu - b.cpu) / double(r.got) * 1e6 : 0, 3);
    j.num("rss_start_kb", double(a.rss))
        .num("rss_stored_kb", double(b.rss))
        .num("rss_peak_kb", double(c.hwm))
        .num("rss_per_msg_b", double(b.rss - a.rss) * 1024 / double(r.n));
    tail(j);
    j.out();
    return ok ? 0 : 1;
}
