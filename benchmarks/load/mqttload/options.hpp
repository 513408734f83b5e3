// Includes, integer names, the clock, and the options of a run.
#pragma once

#include <algorithm>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <functional>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <utility>
#include <vector>
#ifdef USE_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using i64 = int64_t;

static inline u64 now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return u64(t.tv_sec) * 1000000000ull + t.tv_nsec;
}
[[noreturn]] static void die(const char* f, ...) {
    va_list a;
    va_start(a, f);
    fprintf(stderr, "mqttload: ");
    vfprintf(stderr, f, a);
    fprintf(stderr, "\n");
    exit(2);
}

struct Opt {
    std::string scen, host = "127.0.0.1", label, prefix = "bench", filter = "#", pids, submode,
                      order = "rr", user, pass;
    int port = 1883, ver = 4, qos = 0, subqos = -1, P = 1, S = 1, T = 1, size = 64, window = 100,
        conc = 64;
    int subbatch = 50, spread = 1, keepalive = 600, wild = 0, tls = 0, ws = 0, e2e = 1, hold = 0,
        stuck = 0, keep = 0, stored = 0, subscribe = 0;
    i64 count = 0, rate = 0, stall_ms = 2000;
    double secs = 0, warm = -1, timeout = 120;
} O;

static const char* USAGE = R"(usage: mqttload SCENARIO [--key value ...]
scenarios
  pairs    --P n                n publishers, n topics, n subscribers, 1:1
  fanin    --P n [--S 1]        n publishers -> subscriber(s) on PREFIX/#
  fanout   --S n [--P 1]        publisher(s) on one topic -> n subscribers
  subs     --T n --S c          n distinct filters (10% '+' first, 10% '+' inner, 10% '#') over c clients,
                                then publish to random topics: each matches exactly one filter
  flow     --P --S --T --submode all|match --order rr|rand --wild 0|1
  connect  --count n [--rate r | --conc c] [--hold s]    CONNACK latency / churn
  takeover --count n [--conc c]  each connection takes the identifier of one that is open
  idle     --count n --hold s [--subscribe 1]            n idle connections, RSS per connection
  retained --count n [--filter '#'] [--keep 1]           store n retained, then time a wildcard subscribe
           --stored 1                   only subscribe: an earlier run has kept them
  sink     --count n            only receive: wait for payloads 0..n-1 on PREFIX/#, each exactly once
options
  --host --port --ver 4|5 --tls 0|1 --ws 0|1 --qos --subqos --size bytes (>= 24) --keepalive --prefix --user --pass
  --window w      messages per publisher on their way (0 = open loop for QoS 0)
  --e2e 0|1       the window also bounds undelivered messages
  --secs s | --count n, --warm s, --rate msg/s
  --stuck n       flow scenarios: n more subscribers that never read
  --pid p[,p]     the broker, for CPU and RSS
  --spread k      source addresses 127.0.0.1..k
  --label x --timeout s --stall-ms --conc --sub-batch
)";
