// Throughput and latency: publishers, subscribers, and the account of every message.
#pragma once

#include "scenario.hpp"

struct alignas(64) Stream {
    std::string_view topic;
    u32 pub = 0, fan = 0;
    u64 seq = 0, expect = 0;
};
// Texts that lie together, each found by its number alone: to look at one of a hundred thousand is
// to cost the generator little, so that it does not slow down the broker it measures.
struct Topics {
    std::vector<char> text;
    size_t room = 0;
    void init(size_t count, size_t longest) {
        room = (longest + 63) / 64 * 64;
        text.resize(count * room);
    }
    std::string_view put(size_t i, const char* t) {
        size_t n = strlen(t);
        memcpy(&text[i * room], t, n);
        return {&text[i * room], n};
    }
    void fetch(size_t i) const { __builtin_prefetch(&text[i * room]); }
};
struct Pub {
    Conn c;
    std::vector<u32> st;
    size_t rr = 0;
    u32 drawn[8] = {};  // streams of the next messages, when they are random
    u64 sent = 0, limit = 0;
    i64 outst = 0;
    PidTable ids;
    bool queued = false, dead = false;
    u32 win = 0;
};
struct Sub {
    Conn c;
    std::vector<std::string> filters;
    size_t fsent = 0, facked = 0;
    std::vector<u64> expect;
    u64 recv = 0;
};

struct Flow : Scenario {
    std::vector<std::unique_ptr<Pub>> pubs;
    std::vector<std::unique_ptr<Sub>> subs;
    std::vector<std::unique_ptr<Conn>> stuck;
    size_t stuckdone = 0;
    std::vector<Stream> streams;
    Topics topics;
    std::vector<Pub*> ready;
    Hist lat, acklat;
    u64 sent = 0, expected = 0, recvd = 0, uniq = 0, gaps = 0, dups = 0, reord = 0, foreign = 0,
        acked = 0, ackerr = 0, subfail = 0;
    u64 up = 0, t_start = 0, t_stop = 0, t_warm = 0, last_prog = 0, due_n = 0,
        rng = 88172645463325252ull;
    u64 warm_sent = 0, warm_recv = 0, end_sent = 0, end_recv = 0, stalls = 0, total = 0, alive = 0;
    size_t rpub = 0, subdone = 0;
    const bool is_random = O.order == "rand";
    bool running = false, stopping = false, warmed = false, ended = false, percon = false;
    Sample s0, s1, s2, srun;

    void build() {
        u32 NS = u32(std::max(O.P, O.T));
        streams.resize(NS);
        topics.init(NS, O.prefix.size() + 20);
        pubs.resize(size_t(O.P));
        subs.resize(size_t(O.S));
        for (auto& p : pubs)
            p = std::make_unique<Pub>();
        for (auto& s : subs)
            s = std::make_unique<Sub>();
        char t[256];
        bool all = O.submode == "all";
        for (u32 i = 0; i < NS; i++) {
            u32 tp = i % u32(O.T);
            if (O.wild)
                snprintf(t, sizeof t, "%s/a%u/b/c", O.prefix.c_str(), tp);
            else
                snprintf(t, sizeof t, "%s/%u", O.prefix.c_str(), tp);
            streams[i].topic = topics.put(i, t);
            streams[i].pub = i % u32(O.P);
            pubs[i % u32(O.P)]->st.push_back(i);
            streams[i].fan = all         ? u32(O.S)
                             : O.S > O.T ? u32(O.S / O.T + (int(tp) < O.S % O.T ? 1 : 0))
                                         : 1;
        }
        percon = all ? O.S > 1
                     : O.S > O.T;  // several receivers per stream: sequence state per subscriber
        for (u32 s = 0; s < u32(O.S); s++) {
            Sub& b = *subs[s];
            if (percon) b.expect.assign(NS, 0);
            if (all) {
                b.filters.push_back(O.prefix + "/#");
                continue;
            }
            if (O.S > O.T) {
                b.filters.emplace_back(streams[s % u32(O.T)].topic);
                continue;
            }
            for (u32 i = s; i < u32(O.T); i += u32(O.S)) {
                const char* x = O.prefix.c_str();
                if (!O.wild) {
                    b.filters.emplace_back(streams[i].topic);
                    continue;
                }
                switch (i / u32(O.S) % 10) {
                    case 3:
                        snprintf(t, sizeof t, "+/a%u/b/c", i);
                        break;
                    case 6:
                        snprintf(t, sizeof t, "%s/a%u/+/c", x, i);
                        break;
                    case 9:
                        snprintf(t, sizeof t, "%s/a%u/#", x, i);
                        break;
                    default:
                        snprintf(t, sizeof t, "%s/a%u/b/c", x, i);
                }
                b.filters.push_back(t);
            }
        }
        if (O.count) total = u64(O.count);
        for (size_t i = 0; i < pubs.size(); i++) {
            Pub& p = *pubs[i];
            for (u32& each : p.drawn)
                each = draw(p);
            p.limit =
                O.count ? u64(O.count) / u64(O.P) + (i < size_t(O.count % O.P) ? 1 : 0) : ~0ull;
            p.win = u32(O.window ? O.window : 65535);
            if (O.qos) p.ids.init(O.rate ? 65535 : std::min<size_t>(65535, size_t(p.win) * 2 + 16));
        }
    }
    void onUp(Conn& c, u64) override {
        up++;
        if (c.role == R_SUB) more_subs(*subs[c.idx]);
        if (c.role == R_STUCK) {
            put_subscribe(c, {O.prefix + "/#"}, O.subqos < 0 ? O.qos : O.subqos, 1);
            flush(c);
        }
        if (c.role == R_PUB) {
            Pub& p = *pubs[c.idx];
            p.win = std::min<u32>(p.win, c.rmax);
        }
    }
    void more_subs(Sub& b) {
        if (b.fsent == b.filters.size()) {
            subdone++;
            return;
        }
        size_t n = std::min(b.filters.size() - b.fsent, size_t(O.subbatch));
        std::vector<std::string> f(b.filters.begin() + i64(b.fsent),
                                   b.filters.begin() + i64(b.fsent + n));
        b.fsent += n;
        put_subscribe(b.c, f, O.subqos < 0 ? O.qos : O.subqos, u16(1 + b.fsent % 60000));
        flush(b.c);
    }
    void onSuback(Conn& c, int ok, int bad, u64) override {
        if (c.role == R_STUCK) {
            stuckdone++;
            epoll_ctl(g_ep, EPOLL_CTL_DEL, c.fd, nullptr);
            return;
        }  // never read again
        Sub& b = *subs[c.idx];
        b.facked += size_t(ok);
        subfail += u64(bad);
        more_subs(b);
    }
    void onDead(Conn& c) override {
        if (c.role == R_PUB) {
            Pub& p = *pubs[c.idx];
            p.dead = true;
            if (alive) alive--;
            if (running && !alive) stop(now_ns());
        }
    }
    void wake(Pub& p) {
        if (!p.queued && !p.dead && running && !stopping && !O.rate && can(p)) {
            p.queued = true;
            ready.push_back(&p);
        }
    }
    void onWritable(Conn& c) override {
        if (c.role == R_PUB) wake(*pubs[c.idx]);
    }
    bool can(const Pub& p) const {
        if (p.sent >= p.limit || p.c.st != S_UP || p.c.wout) return false;
        if (O.qos && p.ids.used >= p.win) return false;
        if (O.window && O.e2e && p.outst >= i64(p.win) * streams[p.st[0]].fan) return false;
        return true;
    }
    void onPublish(Conn& c, u8 h, const u8*, size_t, const u8* pl, size_t n, u16,
                   u64 now) override {
        Pay y;
        if (n < sizeof y || c.role != R_SUB) {
            foreign++;
            return;
        }
        memcpy(&y, pl, sizeof y);
        if (y.magic != MAGIC || y.stream >= streams.size() || n != size_t(O.size)) {
            foreign++;
            return;
        }
        Stream& s = streams[y.stream];
        Sub& b = *subs[c.idx];
        u64& e = percon ? b.expect[y.stream] : s.expect;
        if (y.seq == e) {
            e++;
            uniq++;
        } else if (y.seq > e) {
            gaps += y.seq - e;
            e = y.seq + 1;
            uniq++;
        } else if (h & 8)
            dups++;
        else
            reord++;
        b.recv++;
        recvd++;
        last_prog = now;
        if (warmed && !ended) lat.add(now > y.ts ? now - y.ts : 0);
        Pub& p = *pubs[s.pub];
        p.outst--;
        wake(p);
    }
    void onAck(Conn& c, int type, u16 pid, u8 rc, u64 now) override {
        if (c.role != R_PUB) return;
        Pub& p = *pubs[c.idx];
        if (pid == 0 || pid >= p.ids.st.size() || !p.ids.st[pid]) {
            g_proto++;
            return;
        }
        last_prog = now;
        if (rc >= 0x80) ackerr++;
        if (type == 5 && rc < 0x80) {
            p.ids.st[pid] = 2;
            ack(c, 0x62, pid);
            return;
        }
        if (warmed && !ended) acklat.add(now - p.ids.ts[pid]);
        p.ids.st[pid] = 0;
        p.ids.used--;
        acked++;
        wake(p);
    }
    u32 draw(const Pub& p) {
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        u32 si = p.st[size_t(rng % p.st.size())];
        topics.fetch(si);
        __builtin_prefetch(&streams[si], 1);
        return si;
    }
    void emit(Pub& p, u64 ts, u64 now) {
        u32 si;
        if (is_random) {
            si = std::exchange(p.drawn[p.sent % std::size(p.drawn)], draw(p));
        } else {
            si = p.st[p.rr];
            if (++p.rr == p.st.size()) p.rr = 0;
        }
        Stream& s = streams[si];
        Pay y{MAGIC, si, s.seq++, ts};
        put_publish(p.c.out, s.topic, O.qos, false, O.qos ? p.ids.take(now) : u16(0), &y,
                    size_t(O.size));
        p.sent++;
        sent++;
        expected += s.fan;
        p.outst += s.fan;
    }
    void stop(u64) {
        stopping = true;
        if (O.secs > 0) end();
    }
    void end() {
        if (!ended) {
            ended = true;
            s2 = sample();
            end_sent = sent;
            end_recv = recvd;
        }
    }
    void warm() {
        warmed = true;
        s1 = sample();
        warm_sent = sent;
        warm_recv = recvd;
        lat.clear();
        acklat.clear();
    }
    i64 pump(u64 now) override {
        if (!running) return 5000000;
        if (!warmed && (O.secs > 0 ? now >= t_warm : recvd >= u64(O.warm * double(total)))) warm();
        if (!stopping && O.secs > 0 && now >= t_stop) stop(now);
        if (!stopping && O.count && sent >= total) stop(now);
        if (now - last_prog > u64(O.stall_ms) * 1000000ull) {
            if (recvd < expected || acked < sent * u64(O.qos > 0)) {
                stalls++;
                last_prog = now;
                if (stopping || stalls > 3) {
                    stopping = true;
                    end();
                    running = false;
                    return 0;
                }
                for (auto& p : pubs) {
                    p->outst = 0;
                    wake(*p);
                }  // forgive: they stay counted as lost
            } else
                last_prog = now;
        }
        if (stopping) {
            if (recvd + 0 >= expected && (!O.qos || acked >= sent)) {
                end();
                running = false;
            }
            return 2000000;
        }
        if (O.rate) {
            i64 wait = 1000000;
            for (int guard = 0; guard < 20000; guard++) {
                u64 due = t_start + due_n * 1000000000ull / u64(O.rate);
                if (due > now) {
                    wait = i64(due - now);
                    break;
                }
                Pub* p = nullptr;
                for (size_t k = 0; k < pubs.size() && !p; k++) {
                    Pub* q = pubs[rpub++ % pubs.size()].get();
                    if (!q->dead && (!O.qos || q->ids.used < 65000)) p = q;
                }
                if (!p || (O.count && sent >= total)) {
                    wait = 1000000;
                    break;
                }
                emit(*p, due, now);
                due_n++;
                if (!p->c.wout)
                    flush(p->c);  // one write per message: a paced client does not batch
                wait = 0;
            }
            return std::min<i64>(wait, 2000000);
        }
        std::vector<Pub*> r;
        r.swap(ready);
        for (Pub* p : r) {
            p->queued = false;
            u64 ts = now_ns();
            while (can(*p) && p->c.out.size() < 65536)
                emit(*p, ts, ts);
            if (p->c.out.size()) flush(p->c);
            if (!p->dead) wake(*p);
        }
        if (ready.capacity() < r.capacity() && ready.empty()) {
            r.clear();
            ready.swap(r);
        }
        return ready.empty() ? 2000000 : 0;
    }
};

static int run_flow() {
    Flow f;
    SC = &f;
    f.build();
    u64 dl = now_ns() + u64(O.timeout * 1e9);
    f.s0 = sample();
    std::vector<Conn*> cs;
    char id[64];
    for (u32 i = 0; i < f.subs.size(); i++) {
        Conn& c = f.subs[i]->c;
        snprintf(id, sizeof id, "ml%ds%u", getpid(), i);
        c.id = id;
        c.idx = i;
        c.role = R_SUB;
        cs.push_back(&c);
    }
    u64 t0 = now_ns();
    bool ok = bring_up(cs, dl, f.up) && loop([&] { return f.subdone >= f.subs.size(); }, dl);
    double sub_s = double(now_ns() - t0) / 1e9;
    cs.clear();
    for (int i = 0; i < O.stuck; i++) {
        auto c = std::make_unique<Conn>();
        snprintf(id, sizeof id, "ml%dx%d", getpid(), i);
        c->id = id;
        c->role = R_STUCK;
        cs.push_back(c.get());
        f.stuck.push_back(std::move(c));
    }
    if (O.stuck)
        ok =
            ok && bring_up(cs, dl, f.up) && loop([&] { return f.stuckdone >= f.stuck.size(); }, dl);
    cs.clear();
    for (u32 i = 0; i < f.pubs.size(); i++) {
        Conn& c = f.pubs[i]->c;
        snprintf(id, sizeof id, "ml%dp%u", getpid(), i);
        c.id = id;
        c.idx = i;
        c.role = R_PUB;
        cs.push_back(&c);
    }
    ok = ok && bring_up(cs, dl, f.up);
    f.srun = sample();
    if (ok) {
        f.t_start = f.last_prog = now_ns();
        f.alive = f.pubs.size();
        f.t_warm = f.t_start + u64(O.warm * 1e9);
        f.t_stop = f.t_start + u64(O.secs * 1e9);
        f.running = true;
        for (auto& p : f.pubs)
            f.wake(*p);
        loop([&] { return !f.running; }, dl);
        if (!f.warmed) f.warm();
        f.end();
    }
    size_t nf = 0, na = 0;
    for (auto& b : f.subs) {
        nf += b->filters.size();
        na += b->facked;
    }
    double el = f.s2.t - f.s1.t, in = double(f.end_sent - f.warm_sent),
           out = double(f.end_recv - f.warm_recv), cpu = f.s2.cpu - f.s1.cpu,
           own = f.s2.own - f.s1.own;
    Sample fin = sample();
    int closed = 0;
    double got = 0;  // what the broker did with the subscribers that stopped reading
    for (auto& c : f.stuck) {
        static char t[65536];
        ssize_t n = -1;
        u64 end = now_ns() + 50000000;
        while (c->fd >= 0 && now_ns() < end && (n = recv(c->fd, t, sizeof t, MSG_DONTWAIT)) > 0)
            got += double(n);
        if (c->fd < 0 || n == 0 || (n < 0 && errno != EAGAIN)) closed++;
    }
    J j;
    head(j);
    if (!ok) j.str("error", "setup failed or timed out");
    if (O.stuck) j.num("stuck", O.stuck).num("stuck_closed", closed).num("stuck_bytes_held", got);
    j.num("pubs", O.P)
        .num("subs", O.S)
        .num("topics", O.T)
        .num("size", O.size)
        .num("window", O.window)
        .num("rate", double(O.rate));
    j.num("ok",
          ok && f.uniq == f.expected && f.recvd == f.expected && !g_proto && !f.dups && !f.reord)
        .num("secs", el, 3)
        .num("sent", double(f.sent))
        .num("expected", double(f.expected))
        .num("delivered", double(f.recvd));
    j.num("lost", std::max(0.0, double(f.expected) - double(f.recvd - f.dups)))
        .num("gaps", double(f.gaps))
        .num("dup", double(f.dups))
        .num("reorder", double(f.reord))
        .num("foreign", double(f.foreign))
        .num("ack_err", double(f.ackerr))
        .num("unacked", O.qos ? double(f.sent - f.acked) : 0)
        .num("stalls", double(f.stalls));
    j.num("in_s", el > 0 ? in / el : 0).num("out_s", el > 0 ? out / el : 0).lat("lat_us", f.lat);
    if (O.qos) j.lat("ack_us", f.acklat);
    j.num("br_cpu_s", cpu, 3)
        .num("br_cpu_pct", el > 0 ? 100 * cpu / el : 0, 1)
        .num("br_user_s", f.s2.user - f.s1.user, 2)
        .num("br_sys_s", f.s2.sys - f.s1.sys, 2)
        .num("br_cpu_s_per_m_in", in > 0 ? cpu / in * 1e6 : 0, 3)
        .num("br_cpu_s_per_m_out", out > 0 ? cpu / out * 1e6 : 0, 3);
    j.num("lg_cpu_pct", el > 0 ? 100 * own / el : 0, 1)
        .num("other_cpu_pct",
             el > 0 ? 100 * std::max(0.0, f.s2.all - f.s1.all - cpu - own) / el : 0, 1)
        .num("lg_cpu_s_per_m_out", out > 0 ? own / out * 1e6 : 0, 3);
    j.num("rss_start_kb", double(f.s0.rss))
        .num("rss_subscribed_kb", double(f.srun.rss))
        .num("rss_end_kb", double(fin.rss))
        .num("rss_peak_kb", double(fin.hwm))
        .num("br_threads", fin.threads);
    j.num("filters", double(nf))
        .num("filters_ok", double(na))
        .num("sub_s", sub_s, 4)
        .num("sub_fail", double(f.subfail));
    tail(j);
    j.out();
    return ok ? 0 : 1;
}
