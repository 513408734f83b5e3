// mqttload - single-threaded epoll MQTT 3.1.1 / 5.0 load generator (loopback benchmarking).
//   g++ -O2 -std=c++20 mqttload.cpp -o mqttload                                   (TCP only)
//   g++ -O2 -std=c++20 -DUSE_TLS mqttload.cpp -o mqttload -lssl -lcrypto          (TCP + TLS)
// One thread on purpose: on a 2-core machine the broker gets the other core.
// Prints exactly one JSON line per run (idle and sink print one more, {"event":...}, when they are
// ready).
// Each scenario is in mqttload/.
#include "mqttload/crowd.hpp"
#include "mqttload/flow.hpp"
#include "mqttload/retained.hpp"
#include "mqttload/sink.hpp"
#include "mqttload/takeover.hpp"

int main(int argc, char** argv) {
    if (argc < 2 || argv[1][0] == '-') {
        fputs(USAGE, stderr);
        return 2;
    }
    O.scen = argv[1];
    std::map<std::string, std::string> a;
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) || i + 1 >= argc) die("bad argument %s\n%s", argv[i], USAGE);
        a[argv[i] + 2] = argv[i + 1];
        i++;
    }
    auto I = [&](const char* k, auto& v) {
        if (auto it = a.find(k); it != a.end()) {
            v = std::decay_t<decltype(v)>(atof(it->second.c_str()));
            a.erase(it);
            return true;
        }
        return false;
    };
    auto T = [&](const char* k, std::string& v) {
        if (auto it = a.find(k); it != a.end()) {
            v = it->second;
            a.erase(it);
        }
    };
    T("host", O.host);
    T("label", O.label);
    T("prefix", O.prefix);
    T("filter", O.filter);
    T("pid", O.pids);
    T("submode", O.submode);
    T("order", O.order);
    T("user", O.user);
    T("pass", O.pass);
    I("port", O.port);
    I("ver", O.ver);
    I("qos", O.qos);
    I("subqos", O.subqos);
    I("size", O.size);
    I("window", O.window);
    I("conc", O.conc);
    I("sub-batch", O.subbatch);
    I("spread", O.spread);
    I("keepalive", O.keepalive);
    I("tls", O.tls);
    I("ws", O.ws);
    I("e2e", O.e2e);
    I("hold", O.hold);
    I("keep", O.keep);
    I("stored", O.stored);
    I("subscribe", O.subscribe);
    I("count", O.count);
    I("rate", O.rate);
    I("stall-ms", O.stall_ms);
    I("secs", O.secs);
    I("timeout", O.timeout);
    I("wild", O.wild);
    I("stuck", O.stuck);
    bool hP = I("P", O.P), hS = I("S", O.S), hT = I("T", O.T), hw = I("warm", O.warm);
    if (!a.empty()) die("unknown option --%s\n%s", a.begin()->first.c_str(), USAGE);
    if (O.size < int(sizeof(Pay)) || O.size > (64 << 20)) die("--size must be 24..64Mi");
    if (O.ver != 4 && O.ver != 5) die("--ver 4 or 5");
    for (const char* p = O.pids.c_str(); *p;) {
        char* e;
        long v = strtol(p, &e, 10);
        if (e == p) break;
        g_pids.push_back(int(v));
        p = *e ? e + 1 : e;
    }
    signal(SIGPIPE, SIG_IGN);
    rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    g_addr.sin_family = AF_INET;
    g_addr.sin_port = htons(u16(O.port));
    if (inet_pton(AF_INET, O.host.c_str(), &g_addr.sin_addr) != 1) die("--host: IPv4 address");
    if (O.tls && O.ws) die("--ws goes without --tls");
    if (O.tls) {
#ifdef USE_TLS
        g_ctx = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(g_ctx,
                         SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_verify(g_ctx, SSL_VERIFY_NONE, nullptr);
#else
        die("built without -DUSE_TLS");
#endif
    }
    g_ep = epoll_create1(EPOLL_CLOEXEC);
    const std::string& s = O.scen;
    if (s == "pairs") {
        if (!hS) O.S = O.P;
        if (!hT) O.T = O.P;
        if (O.submode.empty()) O.submode = "match";
    } else if (s == "fanin") {
        if (!hP) O.P = 10;
        if (!hT) O.T = O.P;
        if (O.submode.empty()) O.submode = "all";
    } else if (s == "fanout") {
        if (!hS) O.S = 10;
        if (O.submode.empty()) O.submode = "match";
    } else if (s == "subs") {
        if (!hT) O.T = 1000;
        if (!hS) O.S = 100;
        O.wild = 1;
        O.order = "rand";
        if (O.submode.empty()) O.submode = "match";
    } else if (s == "flow") {
        if (O.submode.empty()) O.submode = "match";
    } else if (s == "connect" || s == "idle") {
        if (!O.count) O.count = 1000;
        if (s == "idle" && !O.hold) O.hold = 3;
        return run_crowd();
    } else if (s == "takeover") {
        if (!O.count) O.count = 3000;
        return run_takeover();
    } else if (s == "sink") {
        if (O.count < 1) die("sink needs --count");
        return run_sink();
    } else if (s == "retained") {
        if (!O.count) O.count = 10000;
        return run_retained();
    } else
        die("unknown scenario %s\n%s", s.c_str(), USAGE);
    if (!O.count && O.secs <= 0) O.secs = 3;
    if (!hw) O.warm = O.secs > 0 ? std::min(0.5, O.secs / 4) : 0.05;
    if (O.P < 1 || O.S < 1 || O.T < 1) die("P, S, T >= 1");
    return run_flow();
}
