"""Performs a script on the broker core and on the model, and compares what comes out."""

from collections.abc import Callable
from typing import Protocol

from support import wire

from model import actions as do
from model.delivery import Message, Mismatch, Stage
from model.driver import DriverError
from model.generator import CLIENTS
from model.packets import (
    ACK_FIRST_BYTE,
    CONTENT_TYPE,
    CORRELATION_DATA,
    MAXIMUM_PACKET_SIZE,
    MESSAGE_EXPIRY,
    PAYLOAD_FORMAT,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBREC,
    RECEIVE_MAXIMUM,
    RESPONSE_TOPIC,
    SESSION_EXPIRY,
    SUBSCRIPTION_ID,
    TOPIC_ALIAS,
    TOPIC_ALIAS_MAXIMUM,
    USER_PROPERTY,
    WILL_DELAY,
    Properties,
    decode_stream,
    encode_properties,
)
from model.reference import ReferenceBroker
from model.state import Connection, Expected, Will

START = 1000  # milliseconds on the driver's clock
TICK = 50
# Each client acts in a part of the second of its own. As all intervals are whole seconds, timers
# of different clients never end at the same time, and their order is never a question.
SLOT = 150

FORWARDED: Properties = (
    (PAYLOAD_FORMAT, 1),
    (USER_PROPERTY, ("k", "1")),
    (CONTENT_TYPE, "text"),
    (USER_PROPERTY, ("k", "2")),
    (RESPONSE_TOPIC, "r"),
    (CORRELATION_DATA, "x"),
)


def _publish(topic: str, *properties: tuple[int, int]) -> bytes:
    return wire.publish(topic, properties=encode_properties(properties))


# What a client must not send: the packet, the reason code, and whether it exists in MQTT 3.
VIOLATIONS = {
    "connect": (wire.connect("Z"), 0x82, True),
    "type": (b"\x00\x00", 0x81, True),
    "qos": (b"\x36\x06" + wire.string("a") + b"\x00\x01\x00", 0x81, True),
    "alias": (_publish("a", (TOPIC_ALIAS, 0xFFFF)), 0x94, False),
    "unknown alias": (_publish("", (TOPIC_ALIAS, 1)), 0x82, False),
    "subscription id": (_publish("a", (SUBSCRIPTION_ID, 1)), 0x82, False),
    "no local share": (wire.subscribe(1, ("$share/g/a", 4), properties=b""), 0x82, False),
}


class Conversation(Protocol):
    """What a run needs of the driver."""

    def reset(self, settings: dict[str, int]) -> None:
        """Begin with a new broker."""

    def command(self, *words: str) -> list[tuple[str, bytes | None]]:
        """Obey, and return what each connection received; None stands for closed."""


class Run:
    """One script on one broker."""

    def __init__(self, driver: Conversation, settings: dict[str, int]) -> None:
        """Begin with a new broker."""
        self._driver = driver
        self._driver.reset(settings)
        self._model = ReferenceBroker(settings, START)
        self._open: dict[str, Connection] = {}  # by name, until the server has closed
        self._current: dict[str, Connection] = {}  # by client identifier
        self._serial = 0

    def perform(self, action: do.Action) -> None:
        """Do it. Raises Mismatch, DriverError when the broker crashes, and ValueError for bytes
        that are no packets.
        """
        if isinstance(action, do.Wait):
            self._wait_until(self._model.now + action.seconds * 1000)
            return
        if isinstance(action, do.Restart):
            self._restart()
            return
        client = str(getattr(action, "client"))  # noqa: B009 - all other actions have one
        self._take_turn(client)
        if isinstance(action, do.Connect):
            self._connect(action)
            return
        connection = self._connection(client)
        if connection is None:
            return
        if not connection.stalled or isinstance(action, do.Read | do.Drop):
            handler: Callable[[do.Action, Connection], None] = _HANDLERS[type(action)].__get__(self)
            handler(action, connection)

    def _restart(self) -> None:
        """To the model that is nothing but the end of the connections."""
        for client in CLIENTS:
            self.perform(do.Drop(client))
        if self._model.settings.get("durable"):
            self._driver.command("restart")

    # -- time

    def _take_turn(self, client: str) -> None:
        """Let time pass until the client's part of the second."""
        offset = CLIENTS.index(client) * SLOT
        instant = self._model.now + (offset - self._model.now) % 1000
        while self._model.is_expiry(instant):
            instant += 1000
        self._wait_until(instant)

    def _wait_until(self, instant: int) -> None:
        while (due := min(self._model.deadlines(), default=instant + 1)) <= instant:
            self._pass_to(due - TICK)  # a moment before nothing may happen yet
            self._pass_to(due)
        self._pass_to(instant)

    def _pass_to(self, instant: int) -> None:
        if instant <= self._model.now:
            return
        seen = self._driver.command("advance", str(instant - self._model.now))
        self._model.now = instant
        self._model.fire()
        self._judge(seen)

    # -- sending and judging

    def _connection(self, client: str) -> Connection | None:
        connection = self._current.get(client)
        return connection if connection and connection.name in self._open else None

    def _send(self, connection: Connection, packet: bytes) -> None:
        """Send what the model has taken already, and compare."""
        connection.silent_since = self._model.now
        self._judge(self._driver.command("send", connection.name, packet.hex()))

    def _judge(self, seen: list[tuple[str, bytes | None]]) -> None:
        for name, data in seen:
            connection = self._open[name]
            if data is not None:
                for packet in decode_stream(data, connection.version):
                    try:
                        self._model.received(connection, packet)
                    except Mismatch as error:
                        msg = f"{name}: {error}"
                        raise Mismatch(msg) from None
                continue
            if not connection.closing:
                msg = f"{name} is closed"
                raise Mismatch(msg)
            del self._open[name]
            if connection.expected:
                msg = f"{name} is closed without {connection.expected[0]}"
                raise Mismatch(msg)
        for connection in list(self._open.values()):
            if connection.closing and connection.stalled:
                self._give_up(connection)
            elif connection.closing:
                msg = f"{connection.name} is still open"
                raise Mismatch(msg)
        self._model.check_quiet()

    # -- actions

    def _connect(self, action: do.Connect) -> None:
        self._serial += 1
        name = f"{action.client}{self._serial}"
        will = None
        will_properties: Properties = ()
        if action.will:
            topic, qos, retain, delay, expiry = action.will
            if action.version != 5:
                delay, expiry = 0, None
            will = Will(topic, f"w{self._serial}".encode(), qos, retain, delay * 1000, expiry)
            will_properties = ((WILL_DELAY, delay),) if delay else ()
            if expiry is not None:
                will_properties += ((MESSAGE_EXPIRY, expiry),)
        connection = self._model.connect(name, action, will)
        self._open[name] = connection
        if not connection.closing:
            self._current[action.client] = connection
        packet = wire.connect(
            action.client,
            version=action.version,
            keep_alive=action.keep_alive,
            clean=action.clean,
            will=(will.topic, will.payload) if will else None,
            will_qos=will.qos if will else 0,
            will_retain=will.retain if will else False,
            properties=_connect_properties(action) if action.version == 5 else None,
            will_properties=encode_properties(will_properties),
        )
        self._send(connection, packet)

    def _subscribe(self, action: do.Subscribe, connection: Connection) -> None:
        v5 = connection.version == 5
        filters = [(name, options if v5 else options & 3) for name, options in action.filters]
        properties: Properties = ((SUBSCRIPTION_ID, action.ident),) if action.ident else ()
        self._model.subscribe(connection, 7, filters, action.ident if v5 else 0)
        block = encode_properties(properties) if v5 else None
        self._send(connection, wire.subscribe(7, *filters, properties=block))

    def _unsubscribe(self, action: do.Unsubscribe, connection: Connection) -> None:
        self._model.unsubscribe(connection, 8, list(action.filters))
        block = b"" if connection.version == 5 else None
        self._send(connection, wire.unsubscribe(8, *action.filters, properties=block))

    def _publish(self, action: do.Publish, connection: Connection) -> None:
        self._serial += 1
        v5 = connection.version == 5
        payload = b"" if action.empty else f"m{self._serial}".ljust(action.size, ".").encode()
        forwarded = FORWARDED[: action.extra] if v5 else ()
        properties, topic, expires_at = forwarded, action.topic, None
        if v5 and action.expiry is not None:
            properties += ((MESSAGE_EXPIRY, action.expiry),)
            expires_at = self._model.now + action.expiry * 1000
        if v5 and 0 < action.alias <= self._model.settings.get("topic_alias_maximum", 32):
            properties += ((TOPIC_ALIAS, action.alias),)
            if connection.own_aliases.get(action.alias) == topic:
                topic = ""
            connection.own_aliases[action.alias] = action.topic
        message = Message(
            action.topic, payload, action.qos, action.retain, action.client, forwarded, expires_at
        )
        self._model.publish_received(connection, action.packet_id, message)
        packet = wire.publish(
            topic,
            payload,
            qos=action.qos,
            packet_id=action.packet_id if action.qos else None,
            retain=action.retain,
            dup=action.dup and action.qos > 0,
            properties=encode_properties(properties) if v5 else None,
        )
        self._send(connection, packet)

    def _release(self, action: do.Release, connection: Connection) -> None:
        self._model.pubrel_received(connection, action.packet_id)
        self._send(connection, wire.ack(0x62, action.packet_id))

    def _send_ack(self, connection: Connection, kind: int, packet_id: int, code: int = 0) -> None:
        code = code if connection.version == 5 else 0
        self._model.acknowledged(connection, kind, packet_id, code)
        reason = bytes([code]) if code else b""
        body = packet_id.to_bytes(2, "big") + reason
        self._send(connection, wire.packet(ACK_FIRST_BYTE[kind], body))

    def _acknowledge(self, action: do.Acknowledge, connection: Connection) -> None:
        outgoing = self._model.sessions[connection.client_id].outgoing
        in_flight = [d for d in outgoing.deliveries if d.stage is not Stage.QUEUED]
        if not in_flight:
            return
        delivery = in_flight[min(action.number, len(in_flight) - 1)]
        if delivery.stage is Stage.RELEASED:
            self._send_ack(connection, PUBCOMP, delivery.packet_id)
        else:
            kind = PUBACK if delivery.terms.qos == 1 else PUBREC
            self._send_ack(connection, kind, delivery.packet_id, action.code)

    def _acknowledge_all(self, action: do.AcknowledgeAll, connection: Connection) -> None:
        outgoing = self._model.sessions[connection.client_id].outgoing
        while any(d.stage is not Stage.QUEUED for d in outgoing.deliveries):
            self._acknowledge(do.Acknowledge(action.client), connection)

    def _stray(self, action: do.Stray, connection: Connection) -> None:
        outgoing = self._model.sessions[connection.client_id].outgoing
        if any(d.begun and d.stage is Stage.QUEUED for d in outgoing.deliveries):
            return  # it could hit what the client has not seen
        self._send_ack(connection, action.kind, action.packet_id, action.code)

    def _ping(self, _action: do.Ping, connection: Connection) -> None:
        connection.expected.append(Expected(PINGRESP))
        self._send(connection, wire.PINGREQ)

    def _disconnect(self, action: do.Disconnect, connection: Connection) -> None:
        if connection.version != 5:
            self._model.disconnect(connection, 0, None)
            self._send(connection, wire.DISCONNECT)
            return
        properties: Properties = ()
        if action.expiry is not None:
            properties = ((SESSION_EXPIRY, action.expiry),)
        self._model.disconnect(connection, action.code, action.expiry)
        block = encode_properties(properties)
        body = bytes([action.code]) + wire.varint(len(block)) + block
        self._send(connection, wire.packet(0xE0, body))

    def _drop(self, _action: do.Drop, connection: Connection) -> None:
        self._model.drop(connection)
        del self._open[connection.name]
        self._judge(self._driver.command("drop", connection.name))

    def _give_up(self, connection: Connection) -> None:
        """Break a connection that the server cannot close, because the client does not read."""
        del self._open[connection.name]
        self._judge(self._driver.command("drop", connection.name))

    def _stall(self, _action: do.Stall, connection: Connection) -> None:
        connection.stalled = True
        self._model.sessions[connection.client_id].outgoing.stalled_since = self._model.now
        self._judge(self._driver.command("stall", connection.name))

    def _read(self, _action: do.Read, connection: Connection) -> None:
        connection.stalled = False
        self._judge(self._driver.command("read", connection.name))
        self._model.sessions[connection.client_id].outgoing.stalled_since = None

    def _violate(self, action: do.Violate, connection: Connection) -> None:
        packet, code, in_mqtt3 = VIOLATIONS[action.rule]
        if connection.version != 5 and not in_mqtt3:
            return
        if action.rule == "unknown alias":
            if 1 in connection.own_aliases:
                return
            if self._model.settings.get("topic_alias_maximum", 32) == 0:
                code = 0x94
        self._model.violate(connection, code)
        self._send(connection, packet)


_HANDLERS: dict[type[do.Action], Callable[..., None]] = {
    do.Subscribe: Run._subscribe,
    do.Unsubscribe: Run._unsubscribe,
    do.Publish: Run._publish,
    do.Release: Run._release,
    do.Acknowledge: Run._acknowledge,
    do.AcknowledgeAll: Run._acknowledge_all,
    do.Stray: Run._stray,
    do.Ping: Run._ping,
    do.Disconnect: Run._disconnect,
    do.Drop: Run._drop,
    do.Stall: Run._stall,
    do.Read: Run._read,
    do.Violate: Run._violate,
}


def _connect_properties(action: do.Connect) -> bytes:
    properties: Properties = ()
    if action.expiry:
        properties += ((SESSION_EXPIRY, action.expiry),)
    if action.receive_maximum != 65535:
        properties += ((RECEIVE_MAXIMUM, action.receive_maximum),)
    if action.maximum_packet_size != do.FOREVER:
        properties += ((MAXIMUM_PACKET_SIZE, action.maximum_packet_size),)
    if action.alias_maximum:
        properties += ((TOPIC_ALIAS_MAXIMUM, action.alias_maximum),)
    return encode_properties(properties)


def run(driver: Conversation, script: do.Script) -> str | None:
    """Perform a script; return None, or where and how broker and model differ."""
    problem = _first_difference(driver, script)
    try:
        driver.reset({})
    except DriverError as error:
        return problem or f"when the broker is destroyed:\n{error}"
    return problem


def _first_difference(driver: Conversation, script: do.Script) -> str | None:
    current = Run(driver, script.settings)
    for number, action in enumerate(script.actions, 1):
        try:
            current.perform(action)
        except (Mismatch, DriverError, ValueError) as error:
            return f"at action {number}, {action}:\n{error}"
    return None


def shrink(driver: Conversation, script: do.Script) -> do.Script:
    """Return a script that still fails, with as little in it as dropping parts can leave."""
    best = script
    size = len(best.actions) // 2 or 1
    while size:
        at = 0
        while at < len(best.actions):
            rest = best.actions[:at] + best.actions[at + size :]
            shorter = do.Script(best.settings, rest)
            if run(driver, shorter) is not None:
                best = shorter
            else:
                at += size
        size //= 2
    return _shrink_fields(driver, best)


def _shrink_fields(driver: Conversation, script: do.Script) -> do.Script:
    """Give each field its default, and each setting, when it fails all the same."""
    best = script
    for key in script.settings:
        settings = {k: v for k, v in best.settings.items() if k != key}
        plainer = do.Script(settings, best.actions)
        if run(driver, plainer) is not None:
            best = plainer
    for at in range(len(best.actions)):
        for simpler in do.simpler(best.actions[at]):
            actions = (*best.actions[:at], simpler(best.actions[at]), *best.actions[at + 1 :])
            plainer = do.Script(best.settings, actions)
            if run(driver, plainer) is not None:
                best = plainer
    return best


def explain(driver: Conversation, script: do.Script) -> str:
    """Return the shortest script found that fails as this one does, and how it fails."""
    small = shrink(driver, script)
    return f"{run(driver, small)}\n\n{small}"
