// Numbers that Python and the engine must agree on.
#include <pybind11/native_enum.h>
#include <pybind11/pybind11.h>

#include "bindings/event_kinds.hpp"
#include "bindings/register.hpp"
#include "bridge/broker_messages.hpp"
#include "broker/hooks.hpp"
#include "storage/client_state_change.hpp"

namespace py = pybind11;

namespace amqtt {

void register_codes(py::module_& module) {
    py::native_enum<broker_event_kind>(module, "BrokerEvent", "enum.IntEnum",
                                       "What an event of a broker's engine is about.")
        .value("LOG_RECORDS", broker_event_kind::log_records)
        .value("AUTHENTICATE", broker_event_kind::authenticate)
        .value("CHECK_TOPIC", broker_event_kind::check_topic)
        .value("CLIENT_CONNECTED", broker_event_kind::client_connected)
        .value("CLIENT_DISCONNECTED", broker_event_kind::client_disconnected)
        .value("CLIENT_REFUSED", broker_event_kind::client_refused)
        .value("SESSION_ENDED", broker_event_kind::session_ended)
        .value("CLIENT_SUBSCRIBED", broker_event_kind::client_subscribed)
        .value("CLIENT_UNSUBSCRIBED", broker_event_kind::client_unsubscribed)
        .value("MESSAGE", broker_event_kind::message)
        .value("PACKET", broker_event_kind::packet)
        .value("LOCAL_MESSAGE", broker_event_kind::local_message)
        .value("AUTHENTICATION_STEP", broker_event_kind::authentication_step)
        .value("AUTHENTICATION_ENDED", broker_event_kind::authentication_ended)
        .value("EXTERNAL_ENDED", broker_event_kind::external_ended)
        .value("PSK_KEY", broker_event_kind::psk_key)
        .value("STATE_CHANGES", broker_event_kind::state_changes)
        .finalize();
    py::native_enum<client_event_kind>(module, "ClientEvent", "enum.IntEnum",
                                       "What an event of a client's engine is about.")
        .value("CONNACK", client_event_kind::connack)
        .value("FAILURE", client_event_kind::failure)
        .value("COMPLETION", client_event_kind::completion)
        .value("SUBACK", client_event_kind::suback)
        .value("MESSAGE", client_event_kind::message)
        .value("LOST", client_event_kind::lost)
        .value("AUTH", client_event_kind::auth)
        .value("SERVER_DISCONNECT", client_event_kind::server_disconnect)
        .value("PACKET", client_event_kind::packet)
        .value("STATE", client_event_kind::state)
        .finalize();
    py::native_enum<message_fate>(module, "MessageFate", "enum.IntEnum",
                                  "What has become of a message.")
        .value("RECEIVED", message_fate::received)
        .value("BROADCAST", message_fate::broadcast)
        .value("RETAINED", message_fate::retained)
        .value("QUEUED", message_fate::queued)
        .finalize();
    py::native_enum<topic_action>(module, "TopicAction", "enum.IntEnum",
                                  "What a client wants to do with a topic.")
        .value("SUBSCRIBE", topic_action::subscribe)
        .value("PUBLISH", topic_action::publish)
        .value("RECEIVE", topic_action::receive)
        .finalize();
    using outcome = authentication_reply_command::kind;
    py::native_enum<outcome>(module, "AuthenticationOutcome", "enum.IntEnum",
                             "What a step of enhanced authentication has come to.")
        .value("ACCEPTED", outcome::accepted)
        .value("CHALLENGE", outcome::challenge)
        .value("REFUSED", outcome::refused)
        .finalize();
    py::native_enum<client_state_change::kind>(
        module, "ClientStateChange", "enum.IntEnum",
        "What has become different in the state of a client.")
        .value("ADDED", client_state_change::kind::added)
        .value("PUBREC", client_state_change::kind::pubrec)
        .value("DONE", client_state_change::kind::done)
        .value("RECEIVED", client_state_change::kind::received)
        .value("RELEASED", client_state_change::kind::released)
        .value("NOTHING_RECEIVED", client_state_change::kind::nothing_received)
        .finalize();
}

}  // namespace amqtt
