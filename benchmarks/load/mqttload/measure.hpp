// Byte queue, latency histogram, JSON line, and samples of CPU time and memory from /proc.
#pragma once

#include "options.hpp"

struct Buf {  // grow-only byte queue, no zero fill
    u8* d = nullptr;
    size_t pos = 0, len = 0, cap = 0;
    ~Buf() { free(d); }
    size_t size() const { return len - pos; }
    u8* room(size_t n) {
        if (len + n > cap) {
            if (pos && pos >= len / 2) {
                memmove(d, d + pos, len - pos);
                len -= pos;
                pos = 0;
            }
            if (len + n > cap) {
                cap = std::max(len + n, std::max<size_t>(cap * 2, 256));
                d = (u8*)realloc(d, cap);
                if (!d) abort();
            }
        }
        return d + len;
    }
    void put(const void* p, size_t n) {
        memcpy(room(n), p, n);
        len += n;
    }
    void eat(size_t n) {
        pos += n;
        if (pos == len) pos = len = 0;
    }
    void drop() {
        free(d);
        d = nullptr;
        pos = len = cap = 0;
    }
};
struct Hist {  // log-linear, 64 buckets per octave (<1.6 % error)
    std::vector<u64> b = std::vector<u64>(64 * 64);
    u64 n = 0, mx = 0;
    double sum = 0;
    void add(u64 v) {
        int e = v < 128 ? 0 : 57 - __builtin_clzll(v);
        b[size_t(e) * 64 + (v >> e)]++;
        n++;
        sum += double(v);
        if (v > mx) mx = v;
    }
    double q(double p) const {
        if (!n) return 0;
        u64 want = u64(p * double(n - 1)) + 1, c = 0;
        for (size_t i = 0; i < b.size(); i++)
            if ((c += b[i]) >= want) {
                size_t e = i < 128 ? 0 : i / 64 - 1;
                return double(std::min(u64(i - e * 64) << e, mx));
            }
        return double(mx);
    }
    void clear() {
        std::fill(b.begin(), b.end(), 0);
        n = mx = 0;
        sum = 0;
    }
};
struct J {  // one JSON line
    std::string s = "{";
    void k(const char* n) {
        if (s.size() > 1) s += ",";
        s += "\"";
        s += n;
        s += "\":";
    }
    J& str(const char* n, const std::string& v) {
        k(n);
        s += "\"" + v + "\"";
        return *this;
    }
    J& num(const char* n, double v, int dec = 0) {
        char t[64];
        snprintf(t, sizeof t, "%.*f", dec, v);
        k(n);
        s += t;
        return *this;
    }
    J& lat(const char* n, const Hist& h) {
        char t[256];
        snprintf(t, sizeof t,
                 "{\"n\":%llu,\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,"
                 "\"max\":%.1f}",
                 (unsigned long long)h.n, h.n ? h.sum / double(h.n) / 1e3 : 0, h.q(.5) / 1e3,
                 h.q(.9) / 1e3, h.q(.99) / 1e3, h.q(.999) / 1e3, double(h.mx) / 1e3);
        k(n);
        s += t;
        return *this;
    }
    void out() {
        s += "}\n";
        fwrite(s.data(), 1, s.size(), stdout);
        fflush(stdout);
    }
};
struct Sample {  // broker process(es) + own cpu + wall
    double t = 0, cpu = 0, user = 0, sys = 0, own = 0, all = 0;
    long rss = 0, hwm = 0;
    int threads = 0;
};
static std::vector<int> g_pids;
static Sample sample() {
    Sample r;
    for (int pid : g_pids) {
        char p[128], line[1024];
        snprintf(p, sizeof p, "/proc/%d/stat", pid);
        if (FILE* f = fopen(p, "r")) {
            if (fgets(line, sizeof line, f))
                if (char* q = strrchr(line, ')')) {
                    unsigned long ut = 0, st = 0;
                    int th = 0;
                    sscanf(q + 2,
                           "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %d",
                           &ut, &st, &th);
                    r.user += double(ut) / 100;
                    r.sys += double(st) / 100;
                    r.threads += th;
                }
            fclose(f);
        }
        snprintf(p, sizeof p, "/proc/%d/task", pid);
        if (DIR* d = opendir(p)) {  // schedstat: ns resolution (stat is 10 ms ticks)
            while (dirent* e = readdir(d)) {
                if (e->d_name[0] == '.') continue;
                char q[512];
                unsigned long long ns = 0;
                snprintf(q, sizeof q, "%s/%s/schedstat", p, e->d_name);
                if (FILE* f = fopen(q, "r")) {
                    if (fscanf(f, "%llu", &ns) == 1) r.cpu += double(ns) / 1e9;
                    fclose(f);
                }
            }
            closedir(d);
        }
        snprintf(p, sizeof p, "/proc/%d/status", pid);
        if (FILE* f = fopen(p, "r")) {
            long v;
            while (fgets(line, sizeof line, f)) {
                if (sscanf(line, "VmRSS: %ld", &v) == 1) r.rss += v;
                if (sscanf(line, "VmHWM: %ld", &v) == 1) r.hwm += v;
            }
            fclose(f);
        }
    }
    if (r.cpu == 0) r.cpu = r.user + r.sys;
    if (FILE* f = fopen("/proc/stat", "r")) {  // whole machine, to see what else was running
        unsigned long long v[8] = {};
        if (fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3, v + 4,
                   v + 5, v + 6, v + 7) == 8)
            r.all = double(v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) / 100;
        fclose(f);
    }
    rusage u;
    getrusage(RUSAGE_SELF, &u);
    r.own = double(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
            double(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    r.t = double(now_ns()) / 1e9;
    return r;
}
