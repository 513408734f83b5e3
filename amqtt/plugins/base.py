"""Base classes of plugins.

A plugin handles the event `e` with a coroutine method `on_<value of e>`, whose keyword arguments
are those of the event, see `amqtt.events`. Authentication and topic plugins decide besides.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from amqtt.contexts import Action, BaseContext
from amqtt.logs import LogLimiter
from amqtt.session import Session

__all__ = [
    "Action",
    "BaseAuthPlugin",
    "BaseContext",
    "BasePlugin",
    "BaseTopicPlugin",
    "Decision",
    "Session",
]

C = TypeVar("C", bound=BaseContext)

_LEAST_REFUSAL = 0x80


@dataclass(frozen=True)
class Decision:
    """Say yes or no, and to a client of MQTT 5.0 also why.

    Attributes:
        allow: whether the client may.
        reason_code: the reason code of the refusal, 128 to 255; None means 135, not authorized.
        reason_string: a text for the client, at most 65,535 bytes.

    Raises:
        ValueError: the reason code is out of range.

    """

    allow: bool
    reason_code: int | None = None
    reason_string: str | None = None

    def __post_init__(self) -> None:
        """Check the reason code."""
        code = self.reason_code
        if code is not None and not self.allow and not _LEAST_REFUSAL <= code <= 0xFF:
            msg = f"the reason code of a refusal is a number from 128 to 255, not {code}"
            raise ValueError(msg)

    def __bool__(self) -> bool:
        """Return whether the client may."""
        return self.allow


class BasePlugin(Generic[C]):
    """Base of all plugins.

    Args:
        context: what the broker or client offers to the plugin. Its `config` is an instance of
            the nested dataclass `Config`, made from the options in the configuration.

    """

    @dataclass
    class Config:
        """The options of the plugin; none here."""

    def __init__(self, context: C) -> None:
        """Take the context."""
        self.context: C = context
        self.config: Any = context.config

    @functools.cached_property
    def peer_log(self) -> LogLimiter:
        """Where the plugin logs what clients cause, however often they do."""
        return LogLimiter(self.context.logger)

    def _get_config_section(self, name: str) -> Any:
        """Return a section of the whole configuration, for plugins from entry points.

        Args:
            name: name of the section.

        Returns:
            The section; None when it is empty, a number, or there is none.

        """
        section = _get(self.context.config, name)
        return None if isinstance(section, int) else section or None

    def _get_config_option(self, name: str, default: Any = None) -> Any:
        """Return an option.

        Args:
            name: name of the option; in a dataclass hyphens stand for underscores.
            default: what to return when it is not set.

        Returns:
            Its value.

        """
        return _get(self.context.config, name, default)

    async def reload(self) -> None:
        """Read again what the plugin decides by; called by `Broker.reload`."""

    async def close(self) -> None:
        """Let go of what the plugin holds; called when the broker or client is done."""


class _SectionPlugin(BasePlugin[BaseContext]):
    """Base of the plugins that have a section of their own in the deprecated configuration."""

    def _find_section(self, name: str) -> Any:
        section = self._get_config_section(name)
        if not section and not self._has_own_config:
            self.context.logger.warning("'%s' section not found in context configuration", name)
        return section

    @property
    def _has_own_config(self) -> bool:
        config = self.context.config
        return _is_dataclass(config) and not _is_whole_config(config)


class BaseTopicPlugin(_SectionPlugin):
    """Base of the plugins that decide what a client may do with a topic.

    Attributes:
        verdict_ttl: seconds for which a verdict holds for the same client, action and topic; the
            broker then answers by itself. 0 means that the plugin is asked every time. See also
            `BrokerContext.invalidate_verdicts`.

    """

    verdict_ttl: float = 0

    def __init__(self, context: BaseContext) -> None:
        """Take the context; without options of its own, read the section `topic-check`."""
        super().__init__(context)
        self.topic_config = self._find_section("topic-check")

    def _get_config_option(self, name: str, default: Any = None) -> Any:
        if self._has_own_config:
            return super()._get_config_option(name, default)
        return _get(self.topic_config, name, default)

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,  # noqa: ARG002  # for subclasses
        topic: str | None = None,  # noqa: ARG002
        action: Action | None = None,  # noqa: ARG002
    ) -> bool | Decision | None:
        """Decide whether a client may do something with a topic.

        Args:
            session: the client's.
            topic: topic name; with `Action.SUBSCRIBE` the topic filter, of a shared subscription
                the part behind the share name.
            action: what it wants to do.

        Returns:
            Whether it may; None leaves that to other plugins.

        """
        return bool(self.topic_config) or self._has_own_config


class BaseAuthPlugin(_SectionPlugin):
    """Base of the plugins that decide who may connect."""

    def __init__(self, context: BaseContext) -> None:
        """Take the context; without options of its own, read the section `auth`."""
        super().__init__(context)
        self.auth_config = self._find_section("auth")

    def _get_config_option(self, name: str, default: Any = None) -> Any:
        if self._has_own_config:
            return super()._get_config_option(name, default)
        return _get(self.auth_config, name, default)

    async def psk_key(
        self,
        *,
        identity: str,  # noqa: ARG002  # for subclasses
        hint: str,  # noqa: ARG002
    ) -> bytes | None:
        """Find the pre-shared key of a client, on a listener with `tls_psk_plugins`.

        Args:
            identity: what the client calls itself, which nobody has proven yet.
            hint: what the listener has told the client, which is nothing.

        Returns:
            The key, of 16 to 512 bytes; None when the plugin has none.

        """
        return None

    async def still_allowed(
        self,
        *,
        session: Session,  # noqa: ARG002  # for subclasses
    ) -> bool | Decision | None:
        """Decide whether a client that was admitted may stay; asked by `Broker.reauthorize`.

        Args:
            session: the client's, which is connected.

        Returns:
            Whether it may; None is no objection.

        """
        return None

    async def authenticate(
        self,
        *,
        session: Session,  # noqa: ARG002  # for subclasses
    ) -> bool | Decision | None:
        """Decide whether a client may connect.

        Args:
            session: what the client has sent in CONNECT. What the plugin sets in `username`,
                `is_anonymous` and `attributes` stays with the session.

        Returns:
            Whether it may; None leaves that to other plugins.

        """
        return bool(self.auth_config) or self._has_own_config


def _is_dataclass(config: Any) -> bool:
    return dataclasses.is_dataclass(config) and not isinstance(config, type)


def _is_whole_config(config: Any) -> bool:
    """Tell the configuration of a broker or client from the options of a plugin."""
    return hasattr(config, "plugins") and (hasattr(config, "auth") or hasattr(config, "topics"))


def _get(config: Any, name: str, default: Any = None) -> Any:
    """Read from whatever a plugin may have as its configuration."""
    if config is None:
        return default
    if isinstance(config, dict):
        return config.get(name, config.get(name.replace("-", "_"), default))
    return getattr(config, name.replace("-", "_"), default)
