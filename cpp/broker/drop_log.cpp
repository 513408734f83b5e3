#include "broker/drop_log.hpp"

#include <string>

#include "broker/log_kinds.hpp"

namespace amqtt {

void drop_log::count(drop_reason why, const session& whose) {
    const auto log = [&](const log_kind& kind, const char* before, const char* behind) {
        log_.log(kind, whose.client_id(), now_,
                 [&] { return before + printable(whose.client_id()) + behind; });
    };
    switch (why) {
        case drop_reason::queue_full:
            ++stats_.publish_dropped;
            log(log_kinds::dropped, "queue full: dropped a message for client '",
                "' (limits.max_queued_messages, limits.max_queued_bytes, "
                "limits.max_total_queued_bytes)");
            break;
        case drop_reason::too_large:
            ++stats_.publish_too_large;
            log(log_kinds::too_large, "message too large: dropped it for client '",
                "' (its Maximum Packet Size, or the largest packet that MQTT has)");
            break;
        case drop_reason::server_topic:
            ++stats_.publish_refused;
            log(log_kinds::server_topic,
                "topics that start with '$' are the broker's: refused a message of client '", "'");
            break;
        case drop_reason::payload_format:
            ++stats_.publish_refused;
            log(log_kinds::payload_format,
                "payload is not UTF-8 as announced: refused a message of client '",
                "' (protocol.check_payload_format)");
            break;
    }
}

}  // namespace amqtt
