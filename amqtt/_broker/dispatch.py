"""Bring the events of a broker's engine to its plugins, and their decisions back."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import weakref
from typing import TYPE_CHECKING, Any

from amqtt import _core
from amqtt._broker.decisions import RunningDecisions, TopicAnswers, Verdict
from amqtt._broker.exchanges import Exchanges
from amqtt._broker.external import ExternalConnections
from amqtt._broker.messages import LazyMessage, retained_message
from amqtt._broker.plugin_calls import PluginCalls
from amqtt._broker.sessions import LocalSubscription, SessionRegistry
from amqtt._engine.codes import BrokerEvent, MessageFate, TopicAction
from amqtt._engine.logs import log_records
from amqtt._engine.pump import call_if_alive
from amqtt.contexts import Action
from amqtt.events import BrokerEvents, Events, MQTTEvents
from amqtt.logs import LogLimiter, printable
from amqtt.mqtt import packet_from_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from amqtt._broker.sessions import BrokerSession
    from amqtt._broker.storage import StateKeeper
    from amqtt._engine.pump import EventPump
    from amqtt.plugins.enhanced_authentication import AuthenticationStep
    from amqtt.plugins.manager import PluginManager

    Engine = _core.BrokerEngine | None

logger = logging.getLogger("amqtt.broker")

_ACTIONS: dict[int, Action] = {
    TopicAction.SUBSCRIBE: Action.SUBSCRIBE,
    TopicAction.PUBLISH: Action.PUBLISH,
    TopicAction.RECEIVE: Action.RECEIVE,
}
_EVENT_OF_MESSAGE: dict[int, BrokerEvents] = {
    MessageFate.RECEIVED: BrokerEvents.MESSAGE_RECEIVED,
    MessageFate.BROADCAST: BrokerEvents.MESSAGE_BROADCAST,
}

# Seconds between two looks at the levels of the loggers.
_LEVEL_CHECK = 1.0
# Handlers and decisions that may run before the engine is asked to wait.
_MOST_RUNNING = 10_000


class BrokerDispatch:
    """Stand between a broker's engine and its plugins.

    Args:
        loop: the event loop of the broker.
        manager: the plugins.
        decision_timeout: seconds that a decision may take; then it is a refusal.
        keep_alive_extra: seconds that are added to the keep alive of clients that have one.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        manager: PluginManager[Any],
        decision_timeout: float,
        keep_alive_extra: int = 0,
    ) -> None:
        """Find out what the plugins want; there is no engine yet."""
        self._loop = loop
        self.calls = PluginCalls(manager, loop)
        self.native = self.calls.native
        self._peer_log = LogLimiter(logger)
        self._engine: _core.BrokerEngine | None = None
        self._pump: EventPump | None = None
        self.keeper: StateKeeper | None = None
        self._tracks = False
        self._sent_events: tuple[int, int] | None = None
        self._level_timer: asyncio.TimerHandle | None = None
        self._decisions = RunningDecisions(loop, decision_timeout, self._resume_pump)
        self._answers = TopicAnswers(loop)
        self._orders_to_forget = 0
        self._locals: weakref.WeakValueDictionary[int, LocalSubscription] = (
            weakref.WeakValueDictionary()
        )
        marks_anonymous = self.native.authenticates and self.native.policy["allow_anonymous"]
        self.externals = ExternalConnections()
        self.registry = SessionRegistry(
            loop, lambda: self._engine, marks_anonymous, self.externals.tls_of, keep_alive_extra
        )
        self.exchanges = Exchanges(manager, self.registry)
        self._on_kind: dict[int, Callable[..., None]] = {
            BrokerEvent.LOG_RECORDS: log_records,
            BrokerEvent.AUTHENTICATE: self._authenticate,
            BrokerEvent.AUTHENTICATION_STEP: self._authentication_step,
            BrokerEvent.AUTHENTICATION_ENDED: self._authentication_ended,
            BrokerEvent.CHECK_TOPIC: self._check_topic,
            BrokerEvent.CLIENT_CONNECTED: self._connected,
            BrokerEvent.CLIENT_DISCONNECTED: self._disconnected,
            BrokerEvent.CLIENT_REFUSED: self._refused,
            BrokerEvent.SESSION_ENDED: self.registry.ended,
            BrokerEvent.CLIENT_SUBSCRIBED: self._subscribed,
            BrokerEvent.CLIENT_UNSUBSCRIBED: self._unsubscribed,
            BrokerEvent.MESSAGE: self._message,
            BrokerEvent.PACKET: self._packet,
            BrokerEvent.LOCAL_MESSAGE: self._local_message,
            BrokerEvent.EXTERNAL_ENDED: self.externals.ended,
            BrokerEvent.PSK_KEY: self._psk_key,
            BrokerEvent.STATE_CHANGES: self._state_changes,
        }

    @property
    def decision_timeout(self) -> float:
        """Seconds that a decision may take."""
        return self._decisions.timeout

    @property
    def engine(self) -> _core.BrokerEngine | None:
        """The engine while it runs."""
        return self._engine

    # -- life

    def attach(
        self, engine: _core.BrokerEngine, pump: EventPump, keeper: StateKeeper | None = None
    ) -> None:
        """Serve an engine that is about to start, whose state a plugin may keep."""
        self.keeper = keeper
        self._engine = self._answers.engine = engine
        self._pump = pump
        self._sent_events = None
        self.registry.clear()
        self.refresh_events()
        self._watch_levels()

    def detach(self) -> None:
        """Forget the engine, which has ended; its events have been handled."""
        self._engine = self._answers.engine = None
        self._pump = None
        self.keeper = None
        if self._level_timer is not None:
            self._level_timer.cancel()
            self._level_timer = None
        self._decisions.cancel_all()
        self._peer_log.flush()
        for subscription in list(self._locals.values()):
            subscription.end()
        self._locals.clear()
        self.externals.clear()
        self.exchanges.clear()
        self.registry.clear()

    def track_sessions(self) -> None:
        """Be told from now on which sessions there are."""
        if not self._tracks:
            self._tracks = True
            self.refresh_events()

    # -- which events are wanted

    def refresh_events(self) -> None:
        """Tell the engine which events are wanted, if that has changed."""
        engine = self._engine
        if engine is None:
            return
        wanted = self.calls.wanted(self._tracks)
        if wanted != self._sent_events:
            self._sent_events = wanted
            engine.set_events(*wanted)

    def _watch_levels(self) -> None:
        # Loggers do not tell when their level changes.
        if self.native.event_loggers or self.native.packet_loggers:
            again = weakref.WeakMethod(self._watch_levels)  # the loop must not keep the broker
            self._level_timer = self._loop.call_later(_LEVEL_CHECK, call_if_alive, again)
        self.refresh_events()

    # -- events

    def handle(self, events: list[Any]) -> None:
        """Handle events of the engine, in their order."""
        self.calls.look_again()
        self._answers.will_be_flushed = True
        # What a handler sets in its context is nobody else's, as it is in a task.
        try:
            contextvars.copy_context().run(self._handle, events)
        finally:
            self._answers.will_be_flushed = False
            self._answers.flush()
        if self._running() > _MOST_RUNNING and self._pump is not None and not self._pump.paused:
            self._peer_log.log(
                logging.WARNING, "pauses for handlers of plugins", "",
                "%d handlers of plugins are running; clients wait until some have ended",
                self._running(),
            )  # fmt: skip
            self._pump.pause()

    def _handle(self, events: list[Any]) -> None:
        rest = iter(events)
        for event in rest:
            try:
                self._on_kind[event[0]](*event[1:])
            except Exception:  # the next event is somebody else's
                self._peer_log.log(
                    logging.ERROR, "events that could not be handled", event[0],
                    "An event of the engine could not be handled", exc_info=True,
                )  # fmt: skip
                self._refuse(event)
            except BaseException:  # ends the program, which may wait for the others
                self._loop.call_soon(self.handle, list(rest))
                raise

    def _refuse(self, event: tuple[Any, ...]) -> None:
        """Answer a question that could not be handled: the engine counts those that are open."""
        kind, engine = event[0], self._engine
        if engine is None:
            return
        if kind == BrokerEvent.AUTHENTICATE:
            engine.authenticated(event[1], *Verdict.refusal(), None)
        elif kind == BrokerEvent.AUTHENTICATION_STEP:
            engine.authentication_reply(event[1], *self.exchanges.refusal())
        elif kind == BrokerEvent.CHECK_TOPIC:
            engine.topic_decided(event[1], *Verdict.refusal(), 0.0)
        elif kind == BrokerEvent.PSK_KEY:
            engine.psk_key(event[1], b"")

    def _running(self) -> int:
        return self.calls.running + len(self._decisions)

    def _resume_pump(self, _: object = None) -> None:
        pump = self._pump
        if pump is not None and pump.paused and self._running() < _MOST_RUNNING // 2:
            pump.resume()

    def _fire(self, event: Events, **kwargs: Any) -> None:
        for task in self.calls.tell(event, kwargs):
            task.add_done_callback(self._resume_pump)

    def _connected(self, ticket: int, resumed: bool, facts: dict[str, Any]) -> None:
        session = self.registry.connected(ticket, resumed, facts)
        self._fire(
            BrokerEvents.CLIENT_CONNECTED, client_id=session.client_id, client_session=session
        )

    def _disconnected(self, client_id: str, reason: int) -> None:
        session = self.registry.disconnected(client_id, reason)
        self._fire(BrokerEvents.CLIENT_DISCONNECTED, client_id=client_id, client_session=session)

    def _subscribed(self, client_id: str, topic: str, qos: int) -> None:
        self._fire(BrokerEvents.CLIENT_SUBSCRIBED, client_id=client_id, topic=topic, qos=qos)

    def _unsubscribed(self, client_id: str, topic: str) -> None:
        self._fire(BrokerEvents.CLIENT_UNSUBSCRIBED, client_id=client_id, topic=topic)

    def _message(self, fate: int, client_id: str, message: _core.Message, packet_id: int) -> None:
        if fate in _EVENT_OF_MESSAGE:
            told = LazyMessage(message, packet_id)
            for task in self.calls.tell_message(_EVENT_OF_MESSAGE[fate], client_id, told):
                task.add_done_callback(self._resume_pump)
            return
        publisher = (
            self.registry.of_event(client_id)
            if fate == MessageFate.RETAINED and client_id
            else None
        )
        self._fire(
            BrokerEvents.RETAINED_MESSAGE,
            client_id=client_id if fate == MessageFate.QUEUED else None,
            retained_message=retained_message(message, publisher),
        )

    def _packet(self, sent: bool, client_id: str | None, version: int, data: bytes) -> None:
        try:
            packet = packet_from_bytes(data, version)
        except Exception as error:  # the engine closes the connection of whoever sent that
            logger.debug("A packet of client '%s' is malformed: %s", printable(client_id), error)
            return
        event = MQTTEvents.PACKET_SENT if sent else MQTTEvents.PACKET_RECEIVED
        if client_id is None:
            self._fire(event, packet=packet)
        else:
            self._fire(event, packet=packet, session=self.registry.of_event(client_id))

    def _state_changes(self, changes: dict[str, Any]) -> None:
        if self.keeper is not None:
            self.keeper.changed(changes)

    # -- subscribers in this process

    def add_local(self, number: int, subscription: LocalSubscription) -> None:
        """Deliver the messages of a local subscriber to a subscription."""
        self._locals[number] = subscription
        weakref.finalize(subscription, self.remove_local, number).atexit = False

    def remove_local(self, number: int) -> None:
        """Forget a local subscriber, here and in the engine."""
        self._locals.pop(number, None)
        if self._engine is not None:
            self._engine.unsubscribe_local(number)

    def _local_message(self, number: int, message: _core.Message, retain: bool) -> None:
        subscription = self._locals.get(number)
        if subscription is None or subscription.deliver(LazyMessage(message, retain=retain)):
            return
        if subscription.dropped == 1:
            logger.warning(
                "A subscriber inside the process does not keep up: messages are dropped, the first"
                " one of topic '%s'",
                printable(message.topic),
            )

    # -- decisions

    # What has to be known of a question is noted before its task begins to run, since the next
    # event may end it. The answer goes to the engine that has asked, and to no other.

    def _decide(self, decision: Coroutine[Any, Any, None], ticket: int | None = None) -> None:
        self._decisions.start(decision, ticket)
        self.calls.order.task_made()

    def _authenticate(self, ticket: int, facts: dict[str, Any]) -> None:
        session = self.registry.candidate(ticket, facts)
        self._decide(self._run_authenticate(self._engine, ticket, session), ticket)

    async def _run_authenticate(self, engine: Engine, ticket: int, session: BrokerSession) -> None:
        verdict = Verdict.refusal()
        try:
            verdict = await self.calls.authenticate(session)
        finally:
            self._answer_client(engine, ticket, verdict, session)

    def _answer_client(
        self, engine: Engine, ticket: int, verdict: Verdict, session: BrokerSession
    ) -> None:
        if engine is None:
            return
        name = session.username
        changed = name if verdict.allowed and name != session.owner else None
        engine.authenticated(ticket, verdict.allowed, verdict.code, verdict.reason, changed)

    def _refused(self, ticket: int) -> None:
        self.registry.drop_candidate(ticket)
        if self._decisions.withdraw(ticket) and self._engine is not None:
            self._engine.authenticated(ticket, *Verdict.refusal(), None)

    def _authentication_step(self, ticket: int, *step: Any) -> None:
        noted = self.exchanges.begin_step(ticket, *step)
        self._decide(self._run_step(self._engine, ticket, noted), ticket)

    async def _run_step(self, engine: Engine, ticket: int, step: AuthenticationStep) -> None:
        reply = self.exchanges.refusal()
        try:
            reply = await self.exchanges.answer(ticket, step)
        finally:
            if engine is not None:
                engine.authentication_reply(ticket, *reply)

    def _authentication_ended(self, ticket: int) -> None:
        self.exchanges.ended(ticket)
        if self._decisions.withdraw(ticket) and self._engine is not None:
            self._engine.authentication_reply(ticket, *self.exchanges.refusal())

    def _psk_key(self, ticket: int, listener: str, identity: str) -> None:
        self._decide(self._run_psk_key(self._engine, ticket, listener, identity))

    async def _run_psk_key(self, engine: Engine, ticket: int, listener: str, identity: str) -> None:
        key = b""
        try:
            key = await self.calls.find_psk(listener, identity)
        finally:
            if engine is not None:
                engine.psk_key(ticket, key)

    def _check_topic(
        self,
        ticket: int,
        client_id: str,
        action: int,
        topic: str,
        login: int,
        user_name: str | None,
    ) -> None:
        # Now, not in the task: the session may be over by then, or be another user's.
        session = self.registry.asker(client_id, login, user_name)
        orders = self._orders_to_forget
        made = self.calls.check_topic_now(session, topic, _ACTIONS[action])
        if made is None:
            asked = self._run_check_topic(self._engine, ticket, session.snapshot(), action, topic)
            self._decide(asked)
        else:
            self._answer(self._engine, ticket, *made, orders)

    async def _run_check_topic(
        self, engine: Engine, ticket: int, session: BrokerSession, action: int, topic: str
    ) -> None:
        verdict, ttl = Verdict.refusal(), 0.0
        orders = self._orders_to_forget
        try:
            verdict, ttl = await self.calls.check_topic(session, topic, _ACTIONS[action])
        finally:
            self._answer(engine, ticket, verdict, ttl, orders)

    def _answer(
        self, engine: Engine, ticket: int, verdict: Verdict, ttl: float, orders: int
    ) -> None:
        if engine is not self._engine:  # which has asked has ended
            return
        # What was asked before an order to forget may be what the order is about.
        self._answers.add(ticket, verdict, ttl if orders == self._orders_to_forget else 0.0)

    def forget_verdicts(self, client_id: str | None, topic: str | None) -> None:
        """Let the engine forget verdicts of topic plugins, also those that are on their way."""
        self._orders_to_forget += 1
        self._answers.flush()
        if self._engine is not None:
            self._engine.forget_verdicts(client_id, topic)
