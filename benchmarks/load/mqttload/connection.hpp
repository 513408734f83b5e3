// One MQTT connection: connect, frame, acknowledge, flush; and the epoll loop over all of them.
#pragma once

#include "measure.hpp"
#include "websocket.hpp"

enum St : u8 { S_NEW, S_TCP, S_TLS, S_UPGRADE, S_CONNACK, S_UP, S_DEAD };
struct Conn {
    int fd = -1;
    u32 idx = 0;
    St st = S_NEW;
    bool wout = false, closing = false;
    u8 role = 0;
    u16 rmax = 65535;
    Buf in, out;
    Buf wire;  // out in frames of WebSocket
    WsInput ws;
    u64 t0 = 0;
    std::string id;
#ifdef USE_TLS
    SSL* ssl = nullptr;
#endif
};
enum { R_PUB = 1, R_SUB = 2, R_IDLE = 3, R_STUCK = 4 };
static int g_ep = -1;
static sockaddr_in g_addr;
static u64 g_disc = 0, g_connfail = 0, g_proto = 0;
#ifdef USE_TLS
static SSL_CTX* g_ctx = nullptr;
#endif

struct Scenario {
    virtual ~Scenario() = default;
    virtual void onUp(Conn&, u64) {}
    virtual void onDead(Conn&) {}
    virtual void onPublish(Conn&, u8, const u8*, size_t, const u8*, size_t, u16, u64) {}
    virtual void onAck(Conn&, int, u16, u8, u64) {}
    virtual void onSuback(Conn&, int, int, u64) {}
    virtual void onWritable(Conn&) {}
    virtual i64 pump(u64) { return 50000000; }  // returns max sleep in ns
}* SC = nullptr;

static void set_ev(Conn& c, bool w) {
    if (c.wout == w || c.fd < 0) return;
    c.wout = w;
    epoll_event e{};
    e.events = EPOLLIN | (w ? u32(EPOLLOUT) : 0u);
    e.data.ptr = &c;
    epoll_ctl(g_ep, EPOLL_CTL_MOD, c.fd, &e);
}
static void kill_conn(Conn& c) {
    if (c.st == S_DEAD) return;
    bool wanted = c.closing;
    if (!wanted) {
        if (c.st == S_UP)
            g_disc++;
        else
            g_connfail++;
    }
#ifdef USE_TLS
    if (c.ssl) {
        SSL_free(c.ssl);
        c.ssl = nullptr;
    }
#endif
    if (c.fd >= 0) close(c.fd);
    c.fd = -1;
    c.st = S_DEAD;
    c.in.drop();
    c.out.drop();
    c.wire.drop();
    SC->onDead(c);
}
static void flush(Conn& c) {
    if (c.fd < 0 || c.st < S_UPGRADE) return;
    if (O.ws && c.st >= S_CONNACK && c.out.size()) ws_frame(c.wire, c.out);
    Buf& out = O.ws ? c.wire : c.out;
    while (out.size()) {
        ssize_t n;
#ifdef USE_TLS
        if (c.ssl) {
            n = SSL_write(c.ssl, out.d + out.pos, int(std::min<size_t>(out.size(), 16384)));
            if (n <= 0) {
                int e = SSL_get_error(c.ssl, int(n));
                if (e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ) {
                    set_ev(c, true);
                    return;
                }
                kill_conn(c);
                return;
            }
        } else
#endif
            n = send(c.fd, out.d + out.pos, out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno == EAGAIN) {
                set_ev(c, true);
                return;
            }
            if (errno == EINTR) continue;
            kill_conn(c);
            return;
        }
        out.eat(size_t(n));
    }
    set_ev(c, false);
    if (c.closing) kill_conn(c);
}
static int put_len(u8* p, size_t n) {
    int k = 0;
    do {
        u8 b = n & 127;
        n >>= 7;
        if (n) b |= 128;
        p[k++] = b;
    } while (n);
    return k;
}
static void put16(u8* p, unsigned v) {
    p[0] = u8(v >> 8);
    p[1] = u8(v);
}
static void add_str(std::string& s, const std::string& v) {
    s += char(v.size() >> 8);
    s += char(v.size());
    s += v;
}
static void send_frame(Conn& c, u8 h, const std::string& body) {
    u8 t[8];
    t[0] = h;
    int k = put_len(t + 1, body.size());
    c.out.put(t, size_t(k) + 1);
    c.out.put(body.data(), body.size());
}
static void send_connect(Conn& c) {
    std::string b;
    add_str(b, "MQTT");
    b += char(O.ver);
    b += char(2 | (O.user.empty() ? 0 : 0x80) | (O.pass.empty() ? 0 : 0x40));
    b += char(O.keepalive >> 8);
    b += char(O.keepalive);
    if (O.ver == 5) b += std::string("\x03\x21\xff\xff", 4);
    add_str(b, c.id);
    if (!O.user.empty()) add_str(b, O.user);
    if (!O.pass.empty()) add_str(b, O.pass);
    send_frame(c, 0x10, b);
}
static void open_conn(Conn& c, u64 t0) {
    static u32 rr = 0;
    c.t0 = t0;
    c.st = S_TCP;
    c.closing = false;
    c.in.eat(c.in.size());
    c.out.eat(c.out.size());
    c.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c.fd < 0) die("socket: %s", strerror(errno));
    int on = 1;
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (O.spread > 1) {
        setsockopt(c.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(0x7f000001u + (rr++ % u32(O.spread)));
        if (bind(c.fd, (sockaddr*)&a, sizeof a)) die("bind: %s", strerror(errno));
    }
    if (connect(c.fd, (sockaddr*)&g_addr, sizeof g_addr) && errno != EINPROGRESS) {
        kill_conn(c);
        return;
    }
    c.wout = true;
    epoll_event e{};
    e.events = EPOLLIN | EPOLLOUT;
    e.data.ptr = &c;
    epoll_ctl(g_ep, EPOLL_CTL_ADD, c.fd, &e);
}
static void send_disconnect(Conn& c) {
    if (c.st != S_UP) {
        c.closing = true;
        kill_conn(c);
        return;
    }
    c.closing = true;
    c.out.put("\xe0\x00", 2);
    flush(c);
}
static bool get_len(const u8* p, size_t n, size_t& v, size_t& used) {  // variable byte integer
    v = 0;
    used = 0;
    for (int sh = 0; used < n && used < 4; sh += 7) {
        u8 b = p[used++];
        v |= size_t(b & 127) << sh;
        if (!(b & 128)) return true;
    }
    return false;
}
static void connack_props(Conn& c, const u8* p, size_t n) {  // only Receive Maximum matters here
    size_t i = 0;
    while (i < n) {
        u8 id = p[i++];
        switch (id) {
            case 0x21:
                if (i + 2 <= n) c.rmax = u16(p[i] << 8 | p[i + 1]);
                i += 2;
                break;
            case 0x22:
            case 0x13:
                i += 2;
                break;
            case 0x11:
            case 0x27:
                i += 4;
                break;
            case 0x24:
            case 0x25:
            case 0x28:
            case 0x29:
            case 0x2a:
                i += 1;
                break;
            case 0x12:
            case 0x1f:
            case 0x1a:
            case 0x1c:
            case 0x15:
            case 0x16:
                if (i + 2 > n) return;
                i += 2u + size_t(p[i] << 8 | p[i + 1]);
                break;
            case 0x26:
                for (int k = 0; k < 2; k++) {
                    if (i + 2 > n) return;
                    i += 2u + size_t(p[i] << 8 | p[i + 1]);
                }
                break;
            default:
                return;
        }
    }
}
static void ack(Conn& c, u8 h, u16 pid) {
    u8 t[4] = {h, 2, u8(pid >> 8), u8(pid)};
    c.out.put(t, 4);
}

static void on_packet(Conn& c, u8 h, const u8* p, size_t n, u64 now) {
    switch (h >> 4) {
        case 3: {
            if (n < 2) {
                g_proto++;
                return;
            }
            size_t tl = size_t(p[0] << 8 | p[1]), i = 2 + tl;
            u16 pid = 0;
            int q = (h >> 1) & 3;
            if (i + (q ? 2 : 0) > n) {
                g_proto++;
                return;
            }
            if (q) {
                pid = u16(p[i] << 8 | p[i + 1]);
                i += 2;
            }
            if (O.ver == 5) {
                size_t v, u;
                if (!get_len(p + i, n - i, v, u) || i + u + v > n) {
                    g_proto++;
                    return;
                }
                i += u + v;
            }
            SC->onPublish(c, h, p + 2, tl, p + i, n - i, pid, now);
            if (q == 1)
                ack(c, 0x40, pid);
            else if (q == 2)
                ack(c, 0x50, pid);
            break;
        }
        case 4:
        case 5:
        case 7:
            if (n >= 2) SC->onAck(c, h >> 4, u16(p[0] << 8 | p[1]), n > 2 ? p[2] : 0, now);
            break;
        case 6:
            if (n >= 2) ack(c, 0x70, u16(p[0] << 8 | p[1]));
            break;
        case 2:
            if (n >= 2 && p[1] == 0) {
                size_t v, u;
                if (O.ver == 5 && n > 2 && get_len(p + 2, n - 2, v, u) && 2 + u + v <= n)
                    connack_props(c, p + 2 + u, v);
                c.st = S_UP;
                SC->onUp(c, now);
            } else
                kill_conn(c);
            break;
        case 9: {
            size_t i = 2;
            if (O.ver == 5) {
                size_t v, u;
                if (!get_len(p + 2, n - 2, v, u)) {
                    g_proto++;
                    return;
                }
                i += u + v;
            }
            int ok = 0, bad = 0;
            for (; i < n; i++)
                (p[i] < 0x80 ? ok : bad)++;
            SC->onSuback(c, ok, bad, now);
            break;
        }
        case 13:
        case 11:
            break;
        case 14:
            break;  // v5 server DISCONNECT: the close that follows is counted
        default:
            g_proto++;
    }
}
static size_t parse(Conn& c, const u8* p, size_t n, u64 now) {  // returns bytes consumed
    size_t at = 0;
    while (n - at >= 2 && c.st != S_DEAD) {
        size_t v, u;
        if (!get_len(p + at + 1, n - at - 1, v, u)) {
            if (n - at >= 5) {
                g_proto++;
                kill_conn(c);
            }
            break;
        }
        if (n - at < 1 + u + v) break;
        on_packet(c, p[at], p + at + 1 + u, v, now);
        at += 1 + u + v;
    }
    return at;
}
static void feed(Conn& c, const u8* p, size_t n, u64 now) {
    if (c.in.size()) {
        c.in.put(p, n);
        size_t k = parse(c, c.in.d + c.in.pos, c.in.size(), now);
        if (c.st != S_DEAD) c.in.eat(k);
    } else {
        size_t k = parse(c, p, n, now);
        if (c.st != S_DEAD && k < n) c.in.put(p + k, n - k);
    }
}
static void begin_mqtt(Conn& c) {
    c.st = S_CONNACK;
    send_connect(c);
    flush(c);
}
// The answer to the upgrade comes alone: a broker has nothing to say before CONNECT.
static void on_upgraded(Conn& c, const u8* p, size_t n) {
    c.in.put(p, n);
    const std::string_view answer((const char*)c.in.d + c.in.pos, c.in.size());
    if (!answer.ends_with("\r\n\r\n")) return;
    const bool ok = answer.starts_with("HTTP/1.1 101 ");
    c.in.eat(c.in.size());
    if (ok)
        begin_mqtt(c);
    else
        kill_conn(c);
}
static void receive(Conn& c, const u8* p, size_t n, u64 now) {
    if (c.st == S_UPGRADE) {
        on_upgraded(c, p, n);
    } else if (!O.ws) {
        feed(c, p, n, now);
    } else if (!c.ws.take(p, n, [&](const u8* q, size_t k) {
                   if (c.st != S_DEAD) feed(c, q, k, now);
               })) {
        g_proto++;
        kill_conn(c);
    }
}
static void on_event(Conn& c, u32 ev) {
    static u8* rb = (u8*)malloc(262144);
    if (c.st == S_DEAD) return;
    if (c.st == S_TCP) {
        int err = 0;
        socklen_t l = sizeof err;
        getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &err, &l);
        if (err || (ev & (EPOLLERR | EPOLLHUP))) {
            kill_conn(c);
            return;
        }
        if (!(ev & EPOLLOUT)) return;
#ifdef USE_TLS
        if (O.tls) {
            c.ssl = SSL_new(g_ctx);
            SSL_set_fd(c.ssl, c.fd);
            SSL_set_connect_state(c.ssl);
            c.st = S_TLS;
        } else
#endif
        {
            if (O.ws) {
                c.wire.put(WS_REQUEST, strlen(WS_REQUEST));
                c.st = S_UPGRADE;
                flush(c);
            } else {
                begin_mqtt(c);
            }
            return;
        }
    }
#ifdef USE_TLS
    if (c.st == S_TLS) {
        int r = SSL_do_handshake(c.ssl);
        if (r == 1) {
            begin_mqtt(c);
        } else {
            int e = SSL_get_error(c.ssl, r);
            if (e == SSL_ERROR_WANT_READ)
                set_ev(c, false);
            else if (e == SSL_ERROR_WANT_WRITE)
                set_ev(c, true);
            else
                kill_conn(c);
        }
        return;
    }
#endif
    if (ev & EPOLLOUT) {
        flush(c);
        if (c.st == S_DEAD) return;
        if (!c.wout) SC->onWritable(c);
    }
    if (ev & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        for (;;) {
            ssize_t n;
#ifdef USE_TLS
            if (c.ssl) {
                n = SSL_read(c.ssl, rb, 262144);
                if (n <= 0) {
                    int e = SSL_get_error(c.ssl, int(n));
                    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) break;
                    kill_conn(c);
                    return;
                }
            } else
#endif
            {
                n = recv(c.fd, rb, 262144, MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
                if (n <= 0) {
                    kill_conn(c);
                    return;
                }
            }
            receive(c, rb, size_t(n), now_ns());
            if (c.st == S_DEAD) return;
#ifdef USE_TLS
            if (c.ssl) continue;  // drain what OpenSSL holds
#endif
            break;
        }
        if (c.out.size() && !c.wout) flush(c);
    }
}
// runs until done() or the deadline; false on deadline
static bool loop(const std::function<bool()>& done, u64 deadline) {
    static epoll_event evs[1024];
    while (!done()) {
        u64 now = now_ns();
        if (now >= deadline) return false;
        i64 ns = std::min<i64>(SC->pump(now), i64(deadline - now));
        if (done()) return true;
        timespec ts{ns / 1000000000, ns % 1000000000};
        int n = epoll_pwait2(g_ep, evs, 1024, &ts, nullptr);
        for (int i = 0; i < n; i++)
            on_event(*(Conn*)evs[i].data.ptr, evs[i].events);
    }
    return true;
}
