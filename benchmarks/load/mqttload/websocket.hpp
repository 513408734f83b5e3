// WebSocket as a client speaks it: the opening handshake, one binary frame for each flush, and what
// is in the frames that come. Masked with zeros, which costs a broker what any mask does.
#pragma once

#include "measure.hpp"

static const char* const WS_REQUEST =
    "GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: mqtt\r\n\r\n";

static void ws_frame(Buf& wire, Buf& out) {
    const size_t n = out.size();
    u8 h[14] = {0x82};
    size_t k = 2;
    if (n < 126) {
        h[1] = u8(n);
    } else {
        const size_t bytes = n < 65536 ? 2 : 8;
        h[1] = n < 65536 ? 126 : 127;
        for (size_t i = 0; i < bytes; i++)
            h[k++] = u8(u64(n) >> (8 * (bytes - 1 - i)));
    }
    h[1] |= 0x80;
    wire.put(h, k + 4);  // the mask is 0
    wire.put(out.d + out.pos, n);
    out.eat(n);
}

struct WsInput {
    u8 head[10];
    u8 have = 0;
    u64 left = 0;  // of the payload of the present frame
    bool data = false;

    // Calls use(bytes, size) for what the data frames hold; false: not as the standard has it.
    template <class F>
    bool take(const u8* p, size_t n, F&& use) {
        while (n) {
            if (left) {
                const size_t k = size_t(std::min<u64>(left, n));
                if (data) use(p, k);
                p += k;
                n -= k;
                left -= k;
                continue;
            }
            head[have++] = *p++;
            n--;
            const u8 l = have > 1 ? head[1] : 0;
            const u8 whole = u8(2 + (l == 126 ? 2 : l == 127 ? 8 : 0));
            if (have < 2 || have < whole) continue;
            if (l & 0x80) return false;  // a server masks nothing
            left = l;
            if (l > 125) {
                left = 0;
                for (u8 i = 2; i < whole; i++)
                    left = left << 8 | head[i];
            }
            data = (head[0] & 0x0F) <= 2;  // binary, or more of it
            have = 0;
        }
        return true;
    }
};
