"""Runs the wire cases of ``vectors/`` over TCP; each case cites what it covers."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from support.process import BrokerProcess, broker_kind
from support.vectors import MAX_REAL_ADVANCE, Case, load_cases, parse_bytes
from support.wire import DEFAULT_TIMEOUT, WireClient

CASES = list(load_cases(Path(__file__).parent / "vectors"))

# Where mosquitto 2.0.11 does what the standard leaves open in another way, or errs.
MOSQUITTO_DIFFERS = {
    "puback_reserved_flags_close": "ignores the flags",
    "pubrec_reserved_flags_close": "ignores the flags",
    "pubcomp_reserved_flags_close": "ignores the flags",
    "pingreq_reserved_flags_close": "ignores the flags",
    "reserved_flags_close_only_their_connection": "ignores the flags of PINGREQ",
    "will_after_protocol_error": "ignores the flags of PINGREQ",
    "server_packets_from_a_client_close": "ignores SUBACK and UNSUBACK",
    "remaining_length_of_five_bytes_closes": "waits for the fifth byte",
    "remaining_length_too_long_for_the_packet_closes": "ignores what is left over",
    "v31_client_id_limits": "takes longer ids",
    "qos_2_repeat_before_pubrel_is_not_delivered_again": "closes on a repeat with DUP 0",
    "qos_0_with_dup_closes": "ignores DUP at QoS 0",
    "dollar_topic_is_dropped_and_acknowledged": "closes",
    "dollar_topic_other_than_sys_is_dropped_and_acknowledged": "delivers",
    "wildcard_filters_do_not_match_dollar_topics": "closes on a $SYS topic",
    "offline_message_is_not_queued_for_a_qos_0_subscription": "queues QoS 0 when told so",
    "unsupported_level_gets_code_1": "answers higher levels in the form of 3.1.1",
    "nothing_after_a_refused_level_is_processed": "answers in the form of 3.1.1",
    "refused_connects_do_not_take_over": "answers level 6 in the form of 3.1.1",
    "refused_connect_leaves_no_will": "answers level 6 in the form of 3.1.1",
    "malformed_subscribe_adds_nothing": "adds the filters before the bad one",
    "will_after_second_connect": "drops the will",
    "will_on_takeover_of_a_persistent_session": "drops the will",
}


def run_case(case: Case, port: int, unique: str) -> None:
    """Perform the steps of ``case`` against the broker at ``port``."""
    with ExitStack() as stack:
        connections: dict[str, WireClient] = {}
        limit = DEFAULT_TIMEOUT
        for number, step in enumerate(case.steps):
            if "advance" in step:
                limit += float(step["advance"])
                continue
            name = step["on"]
            if name not in connections:
                connections[name] = stack.enter_context(WireClient(port))
            try:
                _perform(connections[name], step, unique, limit)
            except AssertionError as error:
                shown = str(step) if len(str(step)) < 300 else str(step)[:300] + "..."
                pytest.fail(f"{case.file}: {case.name}: step {number} {shown}\n{error}")
            if "send" not in step:
                limit = DEFAULT_TIMEOUT


def _perform(client: WireClient, step: dict[str, object], unique: str, limit: float) -> None:
    match step:
        case {"send": str(text)}:
            client.send(parse_bytes(text, unique))
        case {"expect": str(text)}:
            client.expect(parse_bytes(text, unique), limit)
        case {"expect_set": list(texts)}:
            client.expect_set([parse_bytes(str(text), unique) for text in texts], limit)
        case {"expect_close": True}:
            client.expect_close(limit)
        case {"ping": True}:
            client.ping(limit)
        case {"abort": True}:
            client.abort()
        case _:
            pytest.fail(f"unknown step {step}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_wire_case(case: Case, broker: BrokerProcess, unique: str) -> None:
    """The broker answers the case's packets byte for byte."""
    if any(seconds > MAX_REAL_ADVANCE for seconds in case.advances):
        pytest.skip("moves the clock too far for real time")
    if broker_kind() == "mosquitto" and case.version == "5.0":
        pytest.skip("mosquitto: announces other limits in CONNACK")
    if broker_kind() == "mosquitto" and case.name in MOSQUITTO_DIFFERS:
        pytest.skip(f"mosquitto: {MOSQUITTO_DIFFERS[case.name]}")
    run_case(case, broker.port, unique)


def test_there_are_cases() -> None:
    """The folder of vectors is where this module looks for it."""
    assert len(CASES) > 500
