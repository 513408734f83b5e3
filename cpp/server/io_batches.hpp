// What a thread with sockets and the thread of the core tell each other, a turn at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/output_queue.hpp"
#include "base/reason_code.hpp"
#include "broker/client.hpp"
#include "server/batch_channel.hpp"

namespace amqtt {

class remote_client;
class remote_socket;
struct order_batch;

// Either half names the other by its address. A socket lives until it is told that its client is
// gone, which is the answer to its own last report; so no batch names what is gone.

enum class report_kind : std::uint8_t {
    input,
    caught_up,  // there is no more input, or none is to be read
    written,    // output was sent
    peer,       // who a proxy says it is
    tls,        // the handshake is complete
    key,        // a pre-shared key is wanted
    ended,      // the peer has ended the conversation
    left,       // the peer sends nothing more: to be closed when it was answered
    closed,     // the last one
};

struct report_details {
    std::string text;  // address, identity, or problem
    std::uint16_t port = 0;
    std::shared_ptr<const tls_peer> tls;
};

// From a socket to its client.
struct socket_report {
    remote_client* to;
    remote_socket* from;
    report_kind kind;
    std::size_t size = 0;                // of input or what was written
    const std::uint8_t* data = nullptr;  // of input; good until the batch is returned
    std::unique_ptr<report_details> details = nullptr;

    std::size_t input_size() const noexcept { return kind == report_kind::input ? size : 0; }
};

using input_chunk = std::unique_ptr<std::uint8_t[]>;

struct report_batch {
    std::vector<socket_report> reports;
    std::size_t cost = 0;  // what it counts for in input_bounds::of_thread
    // That are filled: input of this batch and of those before it.
    std::vector<input_chunk> chunks;
    // To be used again.
    block_pool blocks;
    std::vector<std::unique_ptr<order_batch>> returned;
};

enum class reading_order : std::uint8_t { as_before, stop, go_on };

// From a client to its socket, performed in the order of the fields.
struct socket_order {
    remote_socket* to;
    std::uint32_t copied = 0;    // bytes of output
    std::uint32_t segments = 0;  // likewise, instead
    reading_order reading = reading_order::as_before;
    bool catches_up = false;  // report_kind::caught_up is wanted, if the end does not come first
    bool closes_after_output = false;
    reason_code reason = reason_code::success;
    bool closes = false;   // now, but for what can be written at once
    bool is_last = false;  // the client is gone
    std::unique_ptr<std::string> key = nullptr;
};

struct order_batch {
    std::vector<std::shared_ptr<remote_socket>> begun;
    std::vector<socket_order> orders;
    // Of all orders, one after the other: little output is copied, for a block of memory each
    // would hold much that is unused.
    std::vector<std::uint8_t> copied;
    std::vector<output_segment> segments;
    bool stops = false;  // nothing follows
    // To be used again; and their input is dealt with.
    std::vector<std::unique_ptr<report_batch>> returned;
};

// One that was used before, or a new one.
template <class Batch>
std::unique_ptr<Batch> next_batch(std::vector<std::unique_ptr<Batch>>& spare) {
    if (spare.empty()) return std::make_unique<Batch>();
    std::unique_ptr<Batch> next = std::move(spare.back());
    spare.pop_back();
    return next;
}

// Bounds of what is on its way to the core, in bytes.
struct input_bounds {
    std::size_t of_connection = 256 * 1024;
    std::size_t of_thread = 4 * 1024 * 1024;
};

struct io_lanes {
    batch_channel<report_batch> reports;
    batch_channel<order_batch> orders;
};

}  // namespace amqtt
