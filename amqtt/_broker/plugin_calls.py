"""Tell the plugins of a broker its events and ask them for decisions."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any

from amqtt._broker.decisions import Verdict, combine, find_psk, verdict_ttl
from amqtt._broker.immediate import StartOrder, never_waits, run_to_end
from amqtt._broker.native_plugins import is_counted_natively, split_plugins
from amqtt.events import BrokerEvents, Events, MQTTEvents
from amqtt.logs import LogLimiter
from amqtt.plugins.manager import PluginManager

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from amqtt._broker.messages import LazyMessage
    from amqtt.contexts import Action
    from amqtt.plugins.enhanced_authentication import BaseEnhancedAuthPlugin
    from amqtt.plugins.manager import Handler
    from amqtt.session import Session

logger = logging.getLogger("amqtt.broker")

# The bits of cpp/broker/hooks.hpp.
_BITS: dict[Events, int] = {
    BrokerEvents.CLIENT_CONNECTED: 1 << 0,
    BrokerEvents.CLIENT_DISCONNECTED: 1 << 1,
    BrokerEvents.CLIENT_SUBSCRIBED: 1 << 2,
    BrokerEvents.CLIENT_UNSUBSCRIBED: 1 << 3,
    BrokerEvents.RETAINED_MESSAGE: 1 << 4,
    BrokerEvents.MESSAGE_RECEIVED: 1 << 5,
    BrokerEvents.MESSAGE_BROADCAST: 1 << 6,
    MQTTEvents.PACKET_RECEIVED: 1 << 7,
    MQTTEvents.PACKET_SENT: 1 << 8,
}
_SESSION_ENDED = 1 << 9
# What it takes to know which sessions there are.
_TRACKING = (
    _BITS[BrokerEvents.CLIENT_CONNECTED] | _BITS[BrokerEvents.CLIENT_DISCONNECTED] | _SESSION_ENDED
)
_LOGGED_AT_INFO = _BITS[BrokerEvents.CLIENT_CONNECTED] | _BITS[BrokerEvents.CLIENT_DISCONNECTED]
_NO_TASKS: tuple[asyncio.Task[Any], ...] = ()
_ALL_EVENTS = sum(_BITS.values())

# The methods as they are shipped: an application may have replaced them since.
_SHIPPED = {
    name: vars(PluginManager)[name]
    for name in ("fire_event", "map_plugin_auth", "map_plugin_topic")
}


class PluginCalls:
    """Call the plugins of a broker, and only those that have something to do.

    The handlers of an event are started directly, and what a packaged plugin would do is left to
    the engine. An application that puts its own `fire_event`, `map_plugin_auth` or
    `map_plugin_topic` in the place of the manager's, in a subclass or in a double for tests, has it
    called for everything.

    Args:
        manager: the plugins.
        loop: the event loop of the broker.

    Attributes:
        native: what the engine does, and what is left to Python.
        order: whether what never waits may be called without a task.

    """

    def __init__(self, manager: PluginManager[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Find out who decides."""
        self._manager = manager
        self._failures = LogLimiter(logger)
        self._loop = loop
        self._running: set[asyncio.Task[None]] = set()
        self.order = StartOrder(loop)
        # What is looked up once for many events.
        self._called: dict[Events, tuple[list[Handler], bool]] = {}
        self._asked: list[tuple[Any, Callable[..., Any]]] | None = None
        self._has_own_auth = _is_replaced(manager, "map_plugin_auth")
        self._has_own_topic = _is_replaced(manager, "map_plugin_topic")
        self.native = split_plugins(manager)
        if self._has_own_auth:
            self.native.policy["authenticate_anonymous"] = False
        if self._has_own_topic:
            self.native.policy.update(taboo=False, acl=None)

    @property
    def authenticates(self) -> bool:
        """Whether Python decides who may connect, perhaps together with the engine."""
        return self._has_own_auth or bool(self.native.auth)

    @property
    def checks_topics(self) -> bool:
        """Whether Python decides on topics, perhaps together with the engine."""
        if self._has_own_topic:
            return bool(self._manager.is_topic_filtering_enabled())
        return bool(self.native.topic)

    @property
    def running(self) -> int:
        """The number of handlers that have not ended."""
        own = self._manager.running_handlers if isinstance(self._manager, PluginManager) else 0
        return own + len(self._running)

    # -- events

    def wanted(self, tracks: bool) -> tuple[int, int]:
        """Return the events that Python wants, and those that the engine logs, as bits.

        Args:
            tracks: whether somebody wants to know which sessions there are.

        """
        if _is_replaced(self._manager, "fire_event"):
            return _ALL_EVENTS | _TRACKING, 0
        python = sum(bit for event, bit in _BITS.items() if self._handlers(event))
        if python or tracks or self.authenticates or self.checks_topics:
            python |= _TRACKING
        logged = 0
        for plugin in self.native.event_loggers:
            if plugin.context.logger.isEnabledFor(logging.INFO):
                logged |= _LOGGED_AT_INFO
            if plugin.context.logger.isEnabledFor(logging.DEBUG):
                logged = _ALL_EVENTS
        return python, logged

    def _handlers(self, event: Events) -> list[Handler]:
        """Return the handlers that run in Python for an event of the engine."""
        idle = self.native.event_loggers
        if event in (MQTTEvents.PACKET_RECEIVED, MQTTEvents.PACKET_SENT):
            quiet = [
                each
                for each in self.native.packet_loggers
                if not each.context.logger.isEnabledFor(logging.DEBUG)
            ]
            idle = idle + quiet
        return [
            each
            for each in self._manager.handlers(event)
            if each.plugin not in idle and not is_counted_natively(each)
        ]

    def look_again(self) -> None:
        """Notice what has changed in plugins, logger levels and replaced methods since."""
        self._called.clear()
        self._asked = None

    def tell(self, event: Events, kwargs: dict[str, Any]) -> Sequence[asyncio.Task[Any]]:
        """Tell the plugins an event of the engine, and do not wait for them.

        Handlers that never wait have ended when this returns.

        Returns:
            The tasks in which the others handle it.

        """
        handlers, is_immediate = self._called.get(event) or self._look_up(event)
        if is_immediate and self.order.is_clear:
            for handler in handlers:
                try:
                    handler.call(**kwargs).send(None)
                except StopIteration:  # that is how a coroutine returns
                    continue
                except BaseException as error:
                    self._failed(event, handler, error)
            return _NO_TASKS
        if _is_replaced(self._manager, "fire_event"):
            task = self._loop.create_task(self._fire(event, kwargs))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            return [task]
        tasks = self._manager.start_handlers(event, handlers, kwargs) if handlers else []
        if tasks:
            self.order.task_made()
        return tasks

    def tell_message(
        self, event: Events, client_id: str, message: LazyMessage
    ) -> Sequence[asyncio.Task[Any]]:
        """Do what `tell` does, for the events that there are most of."""
        handlers, is_immediate = self._called.get(event) or self._look_up(event)
        if not is_immediate or not self.order.is_clear:
            return self.tell(event, {"client_id": client_id, "message": message})
        for handler in handlers:
            try:
                handler.call(client_id=client_id, message=message).send(None)
            except StopIteration:
                continue
            except BaseException as error:
                self._failed(event, handler, error)
        return _NO_TASKS

    def _failed(self, event: Events, handler: Handler, error: BaseException) -> None:
        """Do what a task does with an exception."""
        if isinstance(error, asyncio.CancelledError):
            return
        if not isinstance(error, Exception):
            raise error
        self._manager.handler_failed(event, handler)

    def _look_up(self, event: Events) -> tuple[list[Handler], bool]:
        if _is_replaced(self._manager, "fire_event"):
            found: tuple[list[Handler], bool] = ([], False)
        else:
            handlers = self._handlers(event)
            found = handlers, all(never_waits(each.call) for each in handlers)
        self._called[event] = found
        return found

    async def _fire(self, event: Events, kwargs: dict[str, Any]) -> None:
        try:
            await _result(self._manager.fire_event(event, **kwargs))
        except Exception:
            self._failures.log(
                logging.ERROR, "events that could not be fired", event,
                "The plugin manager failed to fire the event '%s'", event, exc_info=True,
            )  # fmt: skip

    async def tell_and_wait(self, event: Events) -> None:
        """Tell the plugins an event of the broker's life, and wait until they have handled it."""
        # A double for tests is called as its tests expect it: without an option of the method.
        options = {"wait": True} if isinstance(self._manager, PluginManager) else {}
        await _result(self._manager.fire_event(event, **options))

    async def wait_for_handlers(self, timeout: float) -> None:
        """Wait until all handlers have ended, at most some seconds."""
        if self._running:  # which start handlers of the manager
            await asyncio.wait(list(self._running), timeout=timeout)
        if isinstance(self._manager, PluginManager):
            await self._manager.wait_for_handlers(timeout)

    async def close(self) -> None:
        """Close the plugins."""
        await _result(self._manager.close())
        self._failures.flush()

    # -- decisions

    async def authenticate(self, session: Session) -> Verdict:
        """Decide whether a client may connect, in so far as the engine has not."""
        if self._has_own_auth:
            results = await _result(self._manager.map_plugin_auth(session=session))
        else:
            results = await self._manager.ask(
                self.native.auth, "authenticate", {"session": session}
            )
        verdict = combine(self._manager, results, native_allows=self.native.authenticates)
        name: object = session.username
        if not verdict.allowed or name is None or isinstance(name, str):
            return verdict
        self._manager.peer_log.log(
            logging.ERROR,
            "unusable results of plugins",
            "username",
            "A plugin has set 'username' of a session to a value of the type '%s', which refuses"
            " the client; it must be a text or None",
            type(name).__name__,
        )
        return Verdict.refusal()

    async def may_stay(self, session: Session, enhanced: BaseEnhancedAuthPlugin | None) -> Verdict:
        """Decide whether a client that was admitted may stay.

        Args:
            session: the client's.
            enhanced: the plugin that has accepted it by enhanced authentication; None means that
                the authentication plugins have admitted it.

        Returns:
            The first refusal, or leave.

        """
        plugins = self.native.auth if enhanced is None else [enhanced]
        able = [each for each in plugins if hasattr(each, "still_allowed")]
        results = await self._manager.ask(able, "still_allowed", {"session": session})
        return combine(self._manager, results, native_allows=True)

    async def find_psk(self, listener: str, identity: str) -> bytes:
        """Return the pre-shared key of a client; empty when no plugin has one."""
        if not isinstance(self._manager, PluginManager):
            return b""
        return await find_psk(self._manager, listener, identity)

    def check_topic_now(
        self, session: Session, topic: str, action: Action
    ) -> tuple[Verdict, float] | None:
        """Decide on a topic as `check_topic` does, if that takes no waiting; None if it does."""
        if self._asked is None:
            self._asked = self._look_up_topic_plugins()
        if not self._asked or not self.order.is_clear:
            return None
        results = {}
        for plugin, topic_filtering in self._asked:
            try:
                results[plugin] = run_to_end(
                    topic_filtering(session=session, topic=topic, action=action)
                )
            except asyncio.CancelledError:  # as if a task was cancelled
                return Verdict.refusal(), 0.0
            except Exception:
                results[plugin] = self._manager.decision_failed(plugin, "topic_filtering")
        verdict = combine(self._manager, results, native_allows=self.native.checks_topics)
        return verdict, verdict_ttl(self.native.topic)

    def _look_up_topic_plugins(self) -> list[tuple[Any, Callable[..., Any]]]:
        if self._has_own_topic:
            return []
        asked = [(plugin, plugin.topic_filtering) for plugin in self.native.topic]
        return asked if all(never_waits(call) for _, call in asked) else []

    async def check_topic(
        self, session: Session, topic: str, action: Action
    ) -> tuple[Verdict, float]:
        """Decide on a topic, in so far as the engine has not.

        Returns:
            What was decided, and for how many seconds that holds.

        """
        arguments: dict[str, Any] = {"session": session, "topic": topic, "action": action}
        if self._has_own_topic:
            results = await _result(self._manager.map_plugin_topic(**arguments))
            return combine(self._manager, results, native_allows=not results), 0.0
        results = await self._manager.ask(self.native.topic, "topic_filtering", arguments)
        verdict = combine(self._manager, results, native_allows=self.native.checks_topics)
        return verdict, verdict_ttl(self.native.topic)


def _is_replaced(manager: Any, method: str) -> bool:
    """Tell whether a method is not the one that `PluginManager` is shipped with."""
    return getattr(getattr(manager, method), "__func__", None) is not _SHIPPED[method]


async def _result(value: Any) -> Any:
    """Wait for a value if it has to be waited for; that of a simple double has not."""
    return await value if inspect.isawaitable(value) else value
