#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace amqtt {

// What the handshake of TLS has proven of a peer.
struct tls_peer {
    std::string version;                    // such as "TLSv1.3"
    std::string cipher;                     // OpenSSL's name of the suite
    std::vector<std::uint8_t> certificate;  // its verified certificate in DER; empty: none
    std::string psk_identity;               // of its pre-shared key; empty: none
};

}  // namespace amqtt
