#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/qos.hpp"
#include "base/time.hpp"
#include "codec/protocol_version.hpp"
#include "codec/tolerance.hpp"
#include "session/message_queue.hpp"

namespace amqtt {

// Which member of a shared subscription gets a message. Members that are connected and have
// room come first with each of them.
enum class shared_strategy : std::uint8_t {
    round_robin,
    random,
    hash_of_publisher,  // the same member for all messages of one client
    sticky,             // the same member until it leaves
};

// What the clients of one listener may do and use.
struct connection_limits {
    duration connect_timeout = std::chrono::seconds(30);
    // For a packet of an admitted client that has begun; larger ones get that much again as long as
    // they come at min_packet_rate, in bytes a second.
    duration packet_timeout = std::chrono::seconds(60);
    std::size_t min_packet_rate = 1024;
    std::size_t max_connect_size = 256 * 1024;   // of a packet before the client is admitted
    std::size_t max_packet_size = 268'435'460;   // of one after that
    std::uint16_t min_keep_alive = 0;            // seconds
    std::uint16_t max_keep_alive = 0;            // seconds; 0: any, and none at all
    qos max_qos = qos::exactly_once;             // that may be published
    bool retain_available = true;                // messages may be retained
    std::optional<bool> anonymous;               // nullopt: as authentication decides
    std::uint16_t receive_maximum = UINT16_MAX;  // QoS 2 messages a client may have in flight
    std::uint16_t topic_alias_maximum = 32;      // aliases a client may use
    bool v3_1 = true;                            // protocol versions that are admitted
    bool v3_1_1 = true;
    bool v5_0 = true;
    tolerances tolerated;

    bool admits(protocol_version version) const noexcept {
        switch (version) {
            case protocol_version::v3_1:
                return v3_1;
            case protocol_version::v3_1_1:
                return v3_1_1;
            default:
                return v5_0;
        }
    }
};

// How much clients may make the broker keep; 0: any number. Bytes are those of memory. Together
// the defaults are for a machine of 1 GiB.
struct broker_quotas {
    static constexpr std::size_t mib = std::size_t{1024} * 1024;

    std::size_t sessions = 1'000'000;
    std::size_t subscriptions = 100'000;  // of one session
    std::size_t topic_levels = 200;       // of a filter, and of the topic of a retained message
    std::size_t retained_messages = 1'000'000;
    std::size_t retained_bytes = 192 * mib;
    std::size_t session_bytes = 96 * mib;             // of all, with their clients
    std::size_t subscription_bytes = 32 * mib;        // of one session
    std::size_t total_subscription_bytes = 96 * mib;  // of all sessions
    std::size_t total_queued_bytes = 192 * mib;       // of all sessions, what is in flight too
    // Of input that is kept until its packet is complete, see input_ledger; never any number.
    std::size_t unfinished_bytes = 272 * 1024 * 1024;

    static bool exceeded(std::size_t wanted, std::size_t most) noexcept {
        return most != 0 && wanted > most;
    }
};

// What an administrator may set; the defaults are those of the configuration file.
struct broker_settings {
    connection_limits limits;                  // of listeners that have none of their own
    std::size_t max_inflight_messages = 1000;  // unacknowledged, towards one client
    queue_limits queue;                        // of one session
    // Output of all connections above which each has a sixteenth of output_high_water.
    std::size_t output_bytes = 64 * broker_quotas::mib;
    broker_quotas quotas;
    duration decision_timeout = std::chrono::seconds(30);  // for a pending authentication
    std::optional<duration> session_expiry;                // of a disconnected session; none: never
    std::uint32_t keep_alive_extra = 0;                    // seconds added to 1.5 times keep alive
    qos max_qos = qos::exactly_once;                       // highest QoS granted
    std::uint16_t sent_topic_alias_maximum = 256;          // aliases we use towards a client
    shared_strategy shared = shared_strategy::round_robin;
    bool reason_strings = false;        // say in words why a client is refused or disconnected
    bool check_payload_format = false;  // refuse payloads that are announced as UTF-8 but are not
    // Response Information for clients that ask; {client_id} in it stands for the client's. Empty:
    // none.
    std::string response_information;
    // Where clients are sent when the broker shuts down; empty: nowhere.
    std::string server_reference;
    // For tests: makes the client identifiers that the broker assigns predictable.
    std::optional<std::uint64_t> random_seed;
    // Questions to hooks are numbered from here, so that an answer to another broker's is none
    // here.
    std::uint64_t first_ticket = 0;
    // A session belongs to the user who began it: other users cannot take it over or end it.
    bool sessions_have_owners = true;
    // Output of one connection above which messages wait in the session's queue instead, and as
    // much of answers above which its input waits.
    std::size_t output_high_water = 256 * 1024;
};

}  // namespace amqtt
