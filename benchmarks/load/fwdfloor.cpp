// fwdfloor - the floor of syscalls for an MQTT-shaped forwarder. One epoll thread looks only at the
// length prefix (MQTT fixed header), resolves a publisher's topic once, and copies whole frames to
// subscribers, one send() per subscriber per epoll turn. No session, no validation, no ids: NOT a
// broker, a physical limit.
//   g++ -O2 -std=c++20 fwdfloor.cpp -o fwdfloor && ./fwdfloor PORT [nobatch]
// With "nobatch" it does one send() per message. It understands CONNECT (fixed CONNACK 3.1.1),
// SUBSCRIBE (exact filters, or PREFIX/#), PUBLISH QoS 0 and 1 (PUBACK at once; the frame is
// forwarded as it came, so run both sides at the same QoS), and ignores the rest. It listens on
// 127.0.0.1 only.
#include <algorithm>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <unordered_map>
#include <vector>
using u8 = uint8_t;
struct Conn {
    explicit Conn(int f) : fd(f) {}
    int fd;
    bool wout = false, dirty = false, dead = false;
    std::string in, out;
    size_t pos = 0;
    std::string topic;
    std::vector<Conn*>* dst = nullptr;
    uint64_t gen = 0;  // last topic -> cached route
};
struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
};
static std::unordered_map<std::string, std::vector<Conn*>, Hash, std::equal_to<>> exact, routed;
static std::vector<std::pair<std::string, Conn*>> prefixes;
static std::vector<Conn*> dirty, graves;
static int ep;
static bool nobatch = false;
static uint64_t gen = 1;  // bumped when any route may have changed

static void arm(Conn* c, bool w) {
    if (c->wout == w) return;
    c->wout = w;
    epoll_event e{};
    e.events = EPOLLIN | (w ? uint32_t(EPOLLOUT) : 0u);
    e.data.ptr = c;
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}
static void mark(Conn* c) {
    if (!c->dirty && !c->dead) {
        c->dirty = true;
        dirty.push_back(c);
    }
}
static void bury(Conn* c) {  // routes to it are dropped at the end of the epoll turn
    if (c->dead) return;
    c->dead = true;
    close(c->fd);
    graves.push_back(c);
}
static void forget() {
    routed.clear();
    gen++;
    for (auto& [k, v] : exact)
        std::erase_if(v, [](Conn* c) { return c->dead; });
    std::erase_if(prefixes, [](auto& p) { return p.second->dead; });
    for (Conn* c : graves)
        delete c;
    graves.clear();
}
static void flush(Conn* c) {
    c->dirty = false;
    while (!c->dead && c->pos < c->out.size()) {
        ssize_t n = send(c->fd, c->out.data() + c->pos, c->out.size() - c->pos,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno == EAGAIN) {
                arm(c, true);
                return;
            }
            bury(c);
            return;
        }
        c->pos += size_t(n);
    }
    c->out.clear();
    c->pos = 0;
    if (!c->dead) arm(c, false);
}
static std::vector<Conn*>* route(std::string_view t) {
    auto it = routed.find(t);
    if (it != routed.end()) return &it->second;
    std::vector<Conn*> v;
    if (auto e = exact.find(t); e != exact.end()) v = e->second;
    for (auto& [p, c] : prefixes)
        if (t.substr(0, p.size()) == p) v.push_back(c);
    return &routed.emplace(std::string(t), std::move(v)).first->second;
}
static void frame(Conn* c, const u8* f, size_t hl, size_t n) {  // n = whole frame
    const u8* p = f + hl;
    switch (f[0] >> 4) {
        case 3: {
            size_t tl = size_t(p[0] << 8 | p[1]);
            std::string_view t((const char*)p + 2, tl);
            if (c->gen != gen || t != c->topic) {
                c->dst = route(t);
                c->topic = t;
                c->gen = gen;
            }
            for (Conn* d : *c->dst) {
                d->out.append((const char*)f, n);
                if (nobatch) {
                    if (!d->wout) flush(d);
                } else
                    mark(d);
            }
            if (f[0] & 6) {
                char a[4] = {0x40, 2, (char)p[2 + tl], (char)p[3 + tl]};
                c->out.append(a, 4);
                mark(c);
            }
            break;
        }
        case 1:
            c->out.append("\x20\x02\0\0", 4);
            mark(c);
            break;
        case 8: {
            std::string r{(char)0x90, 0, (char)p[0], (char)p[1]};
            for (size_t i = 2; i + 2 < n - hl;) {
                size_t l = size_t(p[i] << 8 | p[i + 1]);
                std::string s((const char*)p + i + 2, l);
                i += 3 + l;
                r += (char)p[i - 1];
                if (!s.empty() && s.back() == '#')
                    prefixes.emplace_back(s.substr(0, s.size() - 1), c);
                else
                    exact[s].push_back(c);
            }
            r[1] = char(r.size() - 2);
            routed.clear();
            gen++;
            c->out += r;
            mark(c);  // <= 125 filters a packet
            break;
        }
        case 12:
            c->out.append("\xd0\0", 2);
            mark(c);
            break;
        case 14:
            bury(c);
            break;
        default:
            break;
    }
}
static size_t parse(Conn* c, const u8* b, size_t n) {
    size_t at = 0;
    while (n - at >= 2 && !c->dead) {
        size_t v = 0, k = 1;
        int sh = 0;
        bool ok = false;
        while (at + k < n && k < 5) {
            u8 x = b[at + k++];
            v |= size_t(x & 127) << sh;
            sh += 7;
            if (!(x & 128)) {
                ok = true;
                break;
            }
        }
        if (!ok || n - at < k + v) break;
        frame(c, b + at, k, k + v);
        at += k + v;
    }
    return at;
}
int main(int argc, char** argv) {
    signal(SIGPIPE, SIG_IGN);
    nobatch = argc > 2 && !strcmp(argv[2], "nobatch");
    rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    int ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(uint16_t(argc > 1 ? atoi(argv[1]) : 18830));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(ls, (sockaddr*)&a, sizeof a) || listen(ls, 4096)) return 1;
    ep = epoll_create1(0);
    epoll_event e{};
    e.events = EPOLLIN;
    e.data.ptr = nullptr;
    epoll_ctl(ep, EPOLL_CTL_ADD, ls, &e);
    static epoll_event ev[1024];
    static u8 rb[262144];
    for (;;) {
        int n = epoll_wait(ep, ev, 1024, -1);
        for (int i = 0; i < n; i++) {
            Conn* c = (Conn*)ev[i].data.ptr;
            if (!c) {
                for (int fd; (fd = accept4(ls, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                    c = new Conn{fd};
                    epoll_event x{};
                    x.events = EPOLLIN;
                    x.data.ptr = c;
                    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &x);
                }
                continue;
            }
            if (c->dead) continue;
            if (ev[i].events & EPOLLOUT) flush(c);
            if (c->dead || !(ev[i].events & ~EPOLLOUT)) continue;
            ssize_t r = recv(c->fd, rb, sizeof rb, MSG_DONTWAIT);
            if (r < 0 && errno == EAGAIN) continue;
            if (r <= 0) {
                bury(c);
                continue;
            }
            if (c->in.empty()) {
                size_t k = parse(c, rb, size_t(r));
                if (k < size_t(r)) c->in.assign((char*)rb + k, size_t(r) - k);
            } else {
                c->in.append((char*)rb, size_t(r));
                size_t k = parse(c, (const u8*)c->in.data(), c->in.size());
                c->in.erase(0, k);
            }
        }
        for (Conn* c : dirty)
            if (!c->wout)
                flush(c);
            else
                c->dirty = false;
        dirty.clear();
        if (!graves.empty()) forget();
    }
}
