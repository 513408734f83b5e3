from __future__ import annotations

import logging

import pytest
from transitions import MachineError

from amqtt._engine.states import BrokerTransitions
from amqtt.broker import Broker

TRIGGERS = {
    "start": (["new", "stopped", "not_started"], "starting"),
    "starting_fail": (["starting"], "not_started"),
    "starting_success": (["starting"], "started"),
    "shutdown": (["started"], "stopping"),
    "stopping_success": (["stopping"], "stopped"),
    "stopping_failure": (["stopping"], "not_stopped"),
}


def machine_in(state: str) -> BrokerTransitions:
    machine = BrokerTransitions()
    machine.state = state
    return machine


@pytest.mark.parametrize("state", Broker.states)
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_trigger(trigger: str, state: str) -> None:
    sources, destination = TRIGGERS[trigger]
    machine = machine_in(state)
    if state in sources:
        assert getattr(machine, trigger)() is True
        assert machine.state == destination
    else:
        with pytest.raises(MachineError, match=f"{trigger} from state {state}"):
            getattr(machine, trigger)()
        assert machine.state == state


@pytest.mark.parametrize("state", Broker.states)
def test_one_state_at_a_time(state: str) -> None:
    machine = machine_in(state)
    assert [name for name in Broker.states if getattr(machine, f"is_{name}")()] == [state]


def test_begins_as_new() -> None:
    assert BrokerTransitions().is_new()


async def test_changes_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    broker = Broker({"listeners": {"default": {"bind": "127.0.0.1:0"}}})
    await broker.start()
    await broker.shutdown()
    assert [record.name for record in caplog.records if "transitions" in record.name] == []
