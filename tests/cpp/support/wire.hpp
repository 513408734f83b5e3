// Packets as bytes, built without the codec under test.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/output_queue.hpp"

namespace amqtt::test {

using bytes = std::vector<std::uint8_t>;

// Reads the notation of tests/conformance/vectors: pairs of hexadecimal digits and text in
// single quotes, `*N` behind a token repeats it, `{id}` in text stands for unique. Throws
// std::invalid_argument.
bytes wire(std::string_view notation, std::string_view unique = "abcd0123");

// In hexadecimal, shortened when long.
std::string shown(bytes_view data);

// Cuts a stream into packets; what is left over is the last element.
std::vector<bytes> split_packets(bytes_view stream);

// Everything that waits to be sent; the queue is empty after that.
bytes take_all(output_queue& out);

bytes operator+(bytes a, const bytes& b);

// Fixed header and body; the length is encoded as it has to be.
bytes packet(std::uint8_t first, const bytes& body);
bytes string_field(std::string_view text);
bytes u16_field(unsigned value);

struct will_spec {
    std::string topic;
    std::string payload;
    unsigned level = 0;
    bool retain = false;
};

struct connect_spec {
    std::string client_id;
    bool clean = true;
    unsigned keep_alive = 0;
    std::vector<will_spec> will = {};  // one at most
    std::string user_name = {};        // empty: none
    std::string password = {};         // empty: none
    unsigned version = 4;
};

struct publish_spec {
    std::string topic;
    std::string payload = {};
    unsigned level = 0;
    unsigned packet_id = 0;
    bool retain = false;
    bool dup = false;
};

bytes connect(const connect_spec& what);
bytes connack(bool session_present = false, unsigned code = 0);
bytes publish(const publish_spec& what);
bytes puback(unsigned packet_id);
bytes pubrec(unsigned packet_id);
bytes pubrel(unsigned packet_id);
bytes pubcomp(unsigned packet_id);
bytes subscribe(unsigned packet_id, const std::vector<std::pair<std::string, unsigned>>& filters);
bytes suback(unsigned packet_id, const std::vector<unsigned>& codes);
bytes unsubscribe(unsigned packet_id, const std::vector<std::string>& filters);
bytes unsuback(unsigned packet_id);
bytes pingreq();
bytes pingresp();
bytes disconnect();

}  // namespace amqtt::test
