from __future__ import annotations

import pytest

from amqtt.events import BrokerEvents, ClientEvents, Events, MQTTEvents


@pytest.mark.parametrize("enumeration", [ClientEvents, MQTTEvents, BrokerEvents])
def test_events_share_a_base(enumeration: type[Events]) -> None:
    assert issubclass(enumeration, Events)


def test_client_has_no_events() -> None:
    assert list(ClientEvents) == []


@pytest.mark.parametrize("event", list(BrokerEvents))
def test_broker_event_is_named_after_its_member(event: BrokerEvents) -> None:
    assert event.value == f"broker_{event.name.lower()}"


@pytest.mark.parametrize("event", list(MQTTEvents))
def test_packet_event_is_named_after_its_member(event: MQTTEvents) -> None:
    assert event.value == f"mqtt_{event.name.lower()}"


def test_events_are_text() -> None:
    assert f"on_{BrokerEvents.PRE_START}" == "on_broker_pre_start"
    assert {"broker_message_received": 1}[BrokerEvents.MESSAGE_RECEIVED] == 1


def test_number_of_broker_events() -> None:
    assert len(BrokerEvents) == 11
