// What the scenarios share: a PUBLISH with an accountable payload, SUBSCRIBE, packet ids, bringing
// connections up, and the fields that every result line has.
#pragma once

#include "connection.hpp"

static constexpr u32 MAGIC = 0x4d514c44;
struct Pay {
    u32 magic, stream;
    u64 seq, ts;
};  // 24 bytes, then filler
static void put_publish(Buf& o, std::string_view topic, int qos, bool retain, u16 pid,
                        const Pay* pay, size_t size) {
    static const std::string fill(1 << 20, 'x');
    size_t rem = 2 + topic.size() + (qos ? 2 : 0) + (O.ver == 5 ? 1 : 0) + size;
    u8* p = o.room(rem + 5);
    u8* s = p;
    *p++ = u8(0x30 | qos << 1 | (retain ? 1 : 0));
    p += put_len(p, rem);
    put16(p, unsigned(topic.size()));
    memcpy(p + 2, topic.data(), topic.size());
    p += 2 + topic.size();
    if (qos) {
        put16(p, pid);
        p += 2;
    }
    if (O.ver == 5) *p++ = 0;
    if (size) {
        memcpy(p, pay, sizeof *pay);
        p += sizeof *pay;
        size -= sizeof *pay;
        while (size) {
            size_t k = std::min(size, fill.size());
            memcpy(p, fill.data(), k);
            p += k;
            size -= k;
        }
    }
    o.len += size_t(p - s);
}
static void put_subscribe(Conn& c, const std::vector<std::string>& fs, int qos, u16 pid) {
    std::string b;
    b += char(pid >> 8);
    b += char(pid);
    if (O.ver == 5) b += '\0';
    for (auto& f : fs) {
        add_str(b, f);
        b += char(qos);
    }
    send_frame(c, 0x82, b);
}
struct PidTable {  // QoS>0 packet ids of one publisher
    std::vector<u64> ts;
    std::vector<u8> st;
    u32 next = 0, used = 0;
    void init(size_t n) {
        ts.assign(n + 1, 0);
        st.assign(n + 1, 0);
    }
    u16 take(u64 now) {
        do {
            if (++next >= ts.size()) next = 1;
        } while (st[next]);
        st[next] = 1;
        ts[next] = now;
        used++;
        return u16(next);
    }
};

static bool bring_up(const std::vector<Conn*>& cs, u64 deadline, u64& up) {
    size_t next = 0;
    u64 base = up, f0 = g_connfail;
    auto done = [&] {
        while (next < cs.size() && next - (up - base) - (g_connfail - f0) < size_t(O.conc))
            open_conn(*cs[next++], now_ns());
        return up - base + (g_connfail - f0) >= cs.size();
    };
    return loop(done, deadline) && g_connfail == f0;
}
static void head(J& j) {
    j.str("scenario", O.scen)
        .str("label", O.label)
        .num("mqtt", O.ver == 5 ? 5 : 3.1, O.ver == 5 ? 0 : 1)
        .num("tls", O.tls)
        .num("ws", O.ws)
        .num("qos", O.qos);
}
static void tail(J& j) {
    j.num("connect_fail", double(g_connfail))
        .num("disconnects", double(g_disc))
        .num("protocol_err", double(g_proto));
}
