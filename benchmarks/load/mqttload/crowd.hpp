// Connect storms and idle connections.
#pragma once

#include "scenario.hpp"

struct Crowd : Scenario {
    std::vector<std::unique_ptr<Conn>> cs;
    size_t next = 0;
    u64 up = 0, done_n = 0, t0 = 0, subacks = 0;
    Hist lat;
    bool churn = false, opening = true;
    void onUp(Conn& c, u64 now) override {
        up++;
        lat.add(now - c.t0);
        if (O.subscribe) {
            put_subscribe(c, {O.prefix + "/" + c.id}, O.qos, 1);
            flush(c);
        }
        if (churn) send_disconnect(c);
    }
    void onSuback(Conn&, int, int, u64) override { subacks++; }
    void onDead(Conn&) override { done_n++; }
    // Called before a connection is opened; false: not yet.
    virtual bool prepare(size_t) { return true; }
    i64 pump(u64 now) override {
        if (!opening) return 20000000;
        while (next < cs.size()) {
            u64 pending = next - up - g_connfail;
            if (!prepare(next)) return 1000000;
            if (O.rate) {
                u64 due = t0 + next * 1000000000ull / u64(O.rate);
                if (due > now) return i64(due - now);
                if (pending > 4000) return 100000;
                open_conn(*cs[next++], due);
            } else {
                if (pending >= u64(O.conc)) return 10000000;
                open_conn(*cs[next++], now_ns());
            }
        }
        return 10000000;
    }
};
// Makes the connections; ids: of so many different client identifiers.
static void fill(Crowd& k, i64 ids) {
    SC = &k;
    char id[64];
    for (i64 i = 0; i < O.count; i++) {
        auto c = std::make_unique<Conn>();
        snprintf(id, sizeof id, "ml%dc%lld", getpid(), (long long)(i % ids));
        c->id = id;
        c->idx = u32(i);
        c->role = R_IDLE;
        k.cs.push_back(std::move(c));
    }
}
// What n connections have cost between two samples.
static void put_costs(J& j, const Crowd& k, u64 n, const Sample& a, const Sample& b) {
    double el = b.t - a.t, cpu = b.cpu - a.cpu;
    j.num("secs", el, 3).num("conn_s", double(n) / el).lat("connack_us", k.lat);
    j.num("br_cpu_s", cpu, 3)
        .num("br_cpu_us_per_conn", n ? cpu / double(n) * 1e6 : 0, 1)
        .num("br_cpu_pct", 100 * cpu / el, 1)
        .num("lg_cpu_pct", 100 * (b.own - a.own) / el, 1)
        .num("other_cpu_pct", 100 * std::max(0.0, b.all - a.all - cpu - b.own + a.own) / el, 1);
}
static int run_crowd() {
    Crowd k;
    bool idle = O.scen == "idle";
    k.churn = !idle && !O.hold;
    fill(k, O.count);
    Sample a = sample();
    k.t0 = now_ns();
    u64 dl = k.t0 + u64(O.timeout * 1e9);
    bool ok = loop(
        [&] {
            return k.up + g_connfail >= u64(O.count) &&
                   (!O.subscribe || k.subacks + g_connfail + g_disc >= u64(O.count));
        },
        dl);
    k.opening = false;
    Sample b = sample();
    if (k.churn)
        loop([&] { return k.done_n >= k.next; }, std::min<u64>(dl, now_ns() + 3000000000ull));
    Sample c = b, d = b;
    u64 alive = k.up;
    if (O.hold) {
        usleep(300000);
        c = sample();
        if (idle) {
            J u;
            u.str("event", "up")
                .str("label", O.label)
                .num("up", double(k.up))
                .num("rss_kb", double(c.rss));
            u.out();
        }
        loop([] { return false; }, now_ns() + u64(O.hold) * 1000000000ull);
        d = sample();
        alive = k.up - g_disc;
        for (auto& x : k.cs)
            if (x->st == S_UP) send_disconnect(*x);
        usleep(500000);
    }
    Sample e = sample();
    J j;
    head(j);
    j.num("ok", ok && !g_connfail && !g_disc)
        .num("count", double(O.count))
        .num("rate", double(O.rate))
        .num("conc", O.conc)
        .num("up", double(k.up));
    put_costs(j, k, k.up, a, b);
    j.num("rss_start_kb", double(a.rss))
        .num("rss_up_kb", double(c.rss))
        .num("rss_per_conn_b", k.up ? double(c.rss - a.rss) * 1024 / double(k.up) : 0)
        .num("rss_after_close_kb", double(e.rss));
    j.num("hold_s", O.hold)
        .num("hold_cpu_pct", O.hold ? 100 * (d.cpu - c.cpu) / (d.t - c.t) : 0, 2)
        .num("alive_after_hold", double(alive));
    tail(j);
    j.out();
    return ok ? 0 : 1;
}
