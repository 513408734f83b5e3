// Connections that each take the client identifier of one that is still open.
#pragma once

#include "crowd.hpp"

struct Takeover : Crowd {
    // Twice as many as there may be connections on their way: whose identifier is taken is up.
    size_t ids = size_t(O.conc) * 2;
    bool taking = false;  // the first ones take nobody's

    bool prepare(size_t i) override {
        if (i < ids) return true;
        Conn& old = *cs[i - ids];
        if (!taking || old.st != S_UP) return false;
        old.closing = true;  // the broker is to end it
        return true;
    }
};
static int run_takeover() {
    Takeover k;
    const u64 n = u64(O.count) - k.ids;
    if (O.count <= i64(k.ids)) die("takeover needs a --count of more than twice --conc");
    fill(k, i64(k.ids));
    const u64 dl = now_ns() + u64(O.timeout * 1e9);
    bool ok = loop([&] { return k.up + g_connfail >= k.ids; }, dl);
    k.lat = Hist();
    k.taking = true;
    Sample a = sample();
    ok = ok && loop([&] { return k.up + g_connfail >= u64(O.count) && k.done_n >= n; }, dl);
    Sample b = sample();
    for (auto& c : k.cs)
        if (c->st == S_UP) send_disconnect(*c);
    J j;
    head(j);
    j.num("ok", ok && !g_connfail && !g_disc)
        .num("count", double(O.count))
        .num("conc", O.conc)
        .num("up", double(k.up));
    put_costs(j, k, n, a, b);
    tail(j);
    j.out();
    return ok ? 0 : 1;
}
