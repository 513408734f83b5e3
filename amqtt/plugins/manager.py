"""Load plugins, tell them events and collect what they decide."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from amqtt.contexts import Action, BaseContext
from amqtt.errors import PluginImportError, PluginInitError
from amqtt.events import BrokerEvents, ClientEvents, Events, MQTTEvents
from amqtt.logs import LogLimiter
from amqtt.plugins._loading import check_decision_methods, load_configured

# Names that applications of aMQTT import from here.
from amqtt.plugins.base import BaseAuthPlugin as BaseAuthPlugin
from amqtt.plugins.base import BasePlugin as BasePlugin
from amqtt.plugins.base import BaseTopicPlugin as BaseTopicPlugin
from amqtt.plugins.storage import BaseStoragePlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, MutableMapping
    from importlib.metadata import EntryPoint

    from amqtt.session import Session

__all__ = ["PluginManager", "get_plugin_manager"]

C = TypeVar("C", bound=BaseContext)


plugins_manager: MutableMapping[str, PluginManager[Any]] = weakref.WeakValueDictionary()
"""The newest manager of each namespace, as long as somebody uses it."""


def get_plugin_manager(namespace: str) -> PluginManager[Any] | None:
    """Return the newest plugin manager of a namespace.

    Args:
        namespace: such as `amqtt.broker.plugins`.

    Returns:
        The manager; None when there is none.

    """
    return plugins_manager.get(namespace)


class Handler(NamedTuple):
    """What one plugin does on one event."""

    plugin: Any
    call: Callable[..., Coroutine[Any, Any, Any]]


class PluginManager(Generic[C]):
    """Hold the plugins of a broker or a client.

    The plugins are those of `plugins` in the configuration of the context, or, when that is not
    set, those of the entry points of the namespace.

    Args:
        namespace: group of the entry points and prefix of the plugins' loggers.
        context: what the plugins are offered; each gets a copy with its own logger and options.
        loop: the event loop; None means the running one, or else a new one.

    Raises:
        PluginImportError: a plugin cannot be imported, or a handler is not a coroutine function.
        PluginLoadError: a configured class is no plugin, or its options are wrong.
        PluginCoroError: a decision method is not a coroutine function.
        PluginInitError: the constructor of a plugin raised.

    """

    def __init__(
        self,
        namespace: str,
        context: C | None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Load the plugins."""
        self._loop = loop or _current_loop()
        self.namespace = namespace
        self.logger = logging.getLogger(namespace)
        self.peer_log = LogLimiter(self.logger)
        self.context: Any = BaseContext() if context is None else context
        self.context.loop = self._loop
        self._plugins: list[Any] = []
        # Names of the entry points that plugins came from.
        self._entry_names: dict[int, str] = {}
        self._handlers: dict[str, list[Handler]] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._is_configured = _section(self.context.config, "plugins") is not None
        if self._is_configured:
            self._load_configured()
        else:
            self._load_entry_points()
        self._auth_plugins = self._deciders("authenticate", "auth")
        self._topic_plugins = self._deciders("topic_filtering", "topic-check")
        plugins_manager[namespace] = self

    # -- loading

    def _load_configured(self) -> None:
        plugins = _section(self.context.config, "plugins")
        for plugin_class, options in load_configured(plugins):
            self._add(plugin_class, plugin_class.__name__, options)

    def _load_entry_points(self) -> None:
        warnings.warn(
            "Loading plugins from EntryPoints is deprecated and will be removed in a future"
            " version; list them in 'plugins' of the configuration",
            DeprecationWarning,
            stacklevel=4,
        )
        for entry in entry_points(group=self.namespace):
            try:
                plugin_class = entry.load()
            except Exception as error:  # the module is somebody else's
                msg = f"Plugin import failed: {entry.name} ({entry.value})"
                raise PluginImportError(msg) from error
            plugin = self._add(plugin_class, entry.name, None)
            self._entry_names[id(plugin)] = entry.name

    def _add(self, plugin_class: Any, name: str, options: Any) -> Any:
        context = copy.copy(self.context)
        context.logger = self.logger.getChild(name)
        if self._is_configured:
            context.config = options
        check_decision_methods(plugin_class)
        try:
            plugin = plugin_class(context)
        except ImportError as error:
            self.logger.error("Plugin '%s' needs what cannot be imported: %s", name, error)
            raise
        except Exception as error:
            self.logger.debug("Plugin init failed: %r", plugin_class, exc_info=True)
            raise PluginInitError(plugin_class) from error
        self._plugins.append(plugin)
        for event in (*BrokerEvents, *MQTTEvents, *ClientEvents):
            self._add_handler(plugin, event)
        return plugin

    def _add_handler(self, plugin: Any, event: Events) -> None:
        if isinstance(plugin, BaseStoragePlugin) and event in plugin.stored_events:
            return
        method = getattr(plugin, f"on_{event}", None)
        if method is None:
            return
        if not inspect.iscoroutinefunction(method):
            msg = f"'on_{event}' of plugin '{type(plugin).__name__}' is not a coroutine function"
            raise PluginImportError(msg)
        self._handlers.setdefault(str(event), []).append(Handler(plugin, method))

    def _deciders(self, method: str, section: str) -> list[Any]:
        """Return the plugins that decide, in the deprecated configuration those it names."""
        able = [plugin for plugin in self._plugins if hasattr(plugin, method)]
        if self._is_configured:
            return able
        options = _section(self.context.config, section)
        if not options:
            return []
        names = _section(options, "plugins")
        if names is None:
            return able
        return [plugin for plugin in able if self._entry_names.get(id(plugin)) in names]

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the handlers on another loop from now on.

        Args:
            loop: the loop, which the contexts of the plugins name from now on too.

        """
        self._loop = self.context.loop = loop
        for plugin in self._plugins:
            context = getattr(plugin, "context", None)
            if isinstance(context, BaseContext):
                context.loop = loop

    # -- what is loaded

    @property
    def app_context(self) -> C:
        """The context that the manager was made with."""
        return self.context  # type: ignore[no-any-return]

    @property
    def plugins(self) -> list[Any]:
        """The plugins, in the order they were loaded."""
        return self._plugins

    @property
    def auth_plugins(self) -> list[Any]:
        """The plugins that decide who may connect."""
        return self._auth_plugins

    @property
    def topic_plugins(self) -> list[Any]:
        """The plugins that decide on topics, whether that is enabled or not."""
        return self._topic_plugins

    def get_plugin(self, name: str) -> Any:
        """Return the first plugin whose class has this name, or None."""
        return next((each for each in self._plugins if type(each).__name__ == name), None)

    def is_topic_filtering_enabled(self) -> bool:
        """Tell whether topic plugins are asked."""
        if self._is_configured:
            return True
        return bool(_section(_section(self.context.config, "topic-check"), "enabled"))

    def handlers(self, event: Events | str) -> list[Handler]:
        """Return what the plugins do on an event, in the order they were loaded."""
        return self._handlers.get(str(event), [])

    # -- events

    async def fire_event(self, event: Events | str, *, wait: bool = False, **kwargs: Any) -> None:
        """Tell the plugins an event.

        What a handler raises is logged.

        Args:
            event: the event.
            wait: whether to wait until all handlers have ended.
            kwargs: the arguments of the handlers.

        """
        tasks = self.start_handlers(event, self.handlers(event), kwargs)
        if wait and tasks:
            await asyncio.wait(tasks)

    def start_handlers(
        self, event: Events | str, handlers: Iterable[Handler], kwargs: dict[str, Any]
    ) -> list[asyncio.Task[Any]]:
        """Start handlers of an event, each as a task of its own."""
        tasks = []
        for handler in handlers:
            task = self._loop.create_task(self._run(event, handler, kwargs))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            tasks.append(task)
        return tasks

    @property
    def running_handlers(self) -> int:
        """The number of handlers that have not ended."""
        return len(self._running)

    async def wait_for_handlers(self, timeout: float) -> None:
        """Wait until all handlers have ended, at most some seconds."""
        if self._running:
            await asyncio.wait(list(self._running), timeout=timeout)

    async def _run(self, event: Events | str, handler: Handler, kwargs: dict[str, Any]) -> None:
        try:
            await handler.call(**kwargs)
        except Exception:
            self.handler_failed(event, handler)

    def handler_failed(self, event: Events | str, handler: Handler) -> None:
        """Log the exception that is being handled, which a handler has raised."""
        plugin = type(handler.plugin).__name__
        self.peer_log.log(
            logging.ERROR, "failures of plugins", f"{plugin} {event}",
            "Plugin '%s' failed to handle the event '%s'", plugin, event, exc_info=True,
        )  # fmt: skip

    # -- decisions

    async def map_plugin_auth(self, *, session: Session) -> dict[Any, Any]:
        """Ask the authentication plugins about a client.

        Args:
            session: the session of the client.

        Returns:
            What each plugin says; False for one that raised, which is logged.

        """
        return await self.ask(self._auth_plugins, "authenticate", {"session": session})

    async def map_plugin_topic(
        self, *, session: Session, topic: str, action: Action
    ) -> dict[Any, Any]:
        """Ask the topic plugins, if they are enabled.

        Args:
            session: the session of the client.
            topic: topic name, or filter with `Action.SUBSCRIBE`.
            action: what the client wants to do with it.

        Returns:
            What each plugin says; False for one that raised, which is logged.

        """
        if not self.is_topic_filtering_enabled():
            return {}
        arguments = {"session": session, "topic": topic, "action": action}
        return await self.ask(self._topic_plugins, "topic_filtering", arguments)

    async def ask(
        self, plugins: list[Any], method: str, arguments: dict[str, Any]
    ) -> dict[Any, Any]:
        """Ask some plugins at the same time.

        Args:
            plugins: whom to ask.
            method: name of their coroutine method.
            arguments: its keyword arguments.

        Returns:
            What each plugin says; False for one that raised, which is logged.

        """
        if len(plugins) == 1:  # no need for a task
            return {plugins[0]: await self._ask(plugins[0], method, arguments)}
        results = await asyncio.gather(*(self._ask(each, method, arguments) for each in plugins))
        return dict(zip(plugins, results, strict=True))

    async def _ask(self, plugin: Any, method: str, arguments: dict[str, Any]) -> Any:
        try:
            return await getattr(plugin, method)(**arguments)
        except asyncio.CancelledError:
            name = type(plugin).__name__
            self.peer_log.log(
                logging.WARNING, "decisions that took too long", f"{name} {method}",
                "Plugin '%s' was stopped before its '%s' had decided", name, method,
            )  # fmt: skip
            raise
        except Exception:
            return self.decision_failed(plugin, method)

    def decision_failed(self, plugin: Any, method: str) -> bool:
        """Log the exception that is being handled, which a plugin has raised; return a refusal."""
        name = type(plugin).__name__
        self.peer_log.log(
            logging.ERROR, "failures of plugins", f"{name} {method}",
            "Plugin '%s' failed to decide in '%s', which refuses the client", name, method,
            exc_info=True,
        )  # fmt: skip
        return False

    # -- all plugins, one after the other

    async def map_plugin_reload(self) -> None:
        """Let all plugins read again what they decide by; what one of them raises is logged."""
        await self._call_all("reload")

    async def map_plugin_close(self) -> None:
        """Close all plugins; what one of them raises is logged."""
        await self._call_all("close")

    async def _call_all(self, method: str) -> None:
        for plugin in self._plugins:
            call = getattr(plugin, method, None)
            if call is None:
                continue
            try:
                await call()
            except Exception:
                self.logger.exception("Plugin '%s' failed to %s", type(plugin).__name__, method)

    async def close(self) -> None:
        """Close all plugins and stop the handlers that have not ended."""
        await self.map_plugin_close()
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        self._flush_logs()

    def _flush_logs(self) -> None:
        for plugin in self._plugins:
            made = getattr(plugin, "__dict__", {}).get("peer_log")  # else it has logged nothing
            if isinstance(made, LogLimiter):
                made.flush()
        self.peer_log.flush()


def entry_points(*, group: str) -> Iterable[EntryPoint]:
    """Return the entry points of a group."""
    from importlib import metadata  # slow, and not needed where plugins are configured

    return metadata.entry_points(group=group)


def _current_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        return loop


def _section(config: Any, name: str) -> Any:
    if config is None:
        return None
    if isinstance(config, dict):
        return config.get(name, config.get(name.replace("-", "_")))
    return getattr(config, name.replace("-", "_"), None)
