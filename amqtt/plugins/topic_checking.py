"""Plugins that decide who may do what with a topic.

In a broker the engine does the work of these classes, though not of subclasses.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amqtt.contexts import Action, BaseContext
from amqtt.plugins._acl_file import Access, AclFile, AclFileError, is_unusable
from amqtt.plugins.base import BaseTopicPlugin
from amqtt.topics import describe_topic, topic_filter_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from amqtt.session import Session

__all__ = ["Acl", "AclFileError", "TopicAccessControlListPlugin", "TopicTabooPlugin"]

_TABOO = ("prohibited", "top-secret", "data/classified")
_ANONYMOUS = "anonymous"

# Seconds between two looks at the file of access control lists.
_LOOK_INTERVAL = 1.0
_UNTIL_CHANGE = 1e9
# A file of mosquitto says nothing of subscriptions.
_ACCESS_OF = {Action.PUBLISH: Access.WRITE, Action.RECEIVE: Access.READ}

Acl = dict[str, list[str]]


class TopicTabooPlugin(BaseTopicPlugin):
    """Leave the topics `prohibited`, `top-secret` and `data/classified` to the user `admin`."""

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,  # noqa: ARG002
    ) -> bool:
        """Refuse these topics to everyone else; a filter that covers them is allowed."""
        return topic not in _TABOO or (session is not None and session.username == "admin")


class TopicAccessControlListPlugin(BaseTopicPlugin):
    """Allow each user the topics of its list.

    Clients without user name are the user `anonymous`. An action without a table is allowed to
    everyone; with a table a user who is not in it may do nothing.

    Instead of tables there may be a file as mosquitto has it, with lines `topic`, `user` and
    `pattern`. It is read again when it has changed. It says what clients may publish and receive;
    every subscription is granted.
    """

    @dataclass
    class Config:
        """The tables: topic filters by user name.

        Attributes:
            acl: what users may subscribe to; use `subscribe_acl`. Left out, nobody may subscribe.
            publish_acl: what users may publish to; empty means that everyone may publish.
            subscribe_acl: what users may subscribe to; it takes the place of `acl`.
            receive_acl: what users may receive; None means that everyone may.
            acl_file: path of a file of mosquitto, which takes the place of all tables.

        """

        acl: Acl = field(default_factory=dict)
        publish_acl: Acl = field(default_factory=dict)
        subscribe_acl: Acl | None = None
        receive_acl: Acl | None = None
        acl_file: str | Path | None = None

    def __init__(self, context: BaseContext) -> None:
        """Read the tables, or the file.

        Raises:
            ValueError: both `acl` and `subscribe_acl` are given, or a file and tables, or a table
                has something that is not a topic filter.
            AclFileError: the file cannot be read, or a line is wrong.

        """
        super().__init__(context)
        for name in ("acl", "publish-acl", "subscribe-acl", "receive-acl"):
            _check_table(name.replace("-", "_"), self._get_config_option(name))
        acl = self._get_config_option("acl")
        subscribe_acl = self._get_config_option("subscribe-acl")
        if acl and subscribe_acl:
            msg = "'acl' and 'subscribe_acl' mean the same, give only 'subscribe_acl'"
            raise ValueError(msg)
        if acl:
            warnings.warn(
                "The option 'acl' is deprecated, use 'subscribe_acl'", UserWarning, stacklevel=2
            )
        self._tables: dict[Action, Acl | None] = {
            Action.PUBLISH: self._get_config_option("publish-acl") or None,
            Action.SUBSCRIBE: acl if subscribe_acl is None else subscribe_acl,
            Action.RECEIVE: self._get_config_option("receive-acl"),
        }
        self._file: AclFile | None = None
        self._next_look: asyncio.TimerHandle | None = None
        path = self._get_config_option("acl-file")
        if path:
            if any(self._tables.values()):
                msg = "'acl_file' takes the place of the tables, give one or the other"
                raise ValueError(msg)
            self._file = AclFile(Path(path), context.logger)

    @property
    def has_file(self) -> bool:
        """Whether a file says what clients may do, and not tables."""
        return self._file is not None

    @property
    def verdict_ttl(self) -> float:  # type: ignore[override]
        """Seconds for which a verdict holds: without end while the file is watched."""
        is_watched = self._next_look is not None and type(self) is TopicAccessControlListPlugin
        return _UNTIL_CHANGE if is_watched else 0

    async def on_broker_pre_start(self) -> None:
        """Begin to watch the file."""
        if self._file is not None:
            self._look()

    async def on_broker_post_shutdown(self) -> None:
        """Watch the file no more."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None

    async def close(self) -> None:
        """Watch the file no more."""
        await self.on_broker_post_shutdown()

    def _look(self) -> None:
        again = weakref.WeakMethod(self._look)  # the loop must not keep the plugin
        loop = asyncio.get_running_loop()
        self._next_look = loop.call_later(_LOOK_INTERVAL, _call_if_alive, again)
        self._read_changes()

    def _read_changes(self) -> None:
        if self._file is not None and self._file.read_changes():
            invalidate = getattr(self.context, "invalidate_verdicts", None)
            if invalidate is not None:
                invalidate()

    def table(self, action: Action) -> Acl | None:
        """Return the table of an action; None allows everything to everyone."""
        return self._tables[action]

    @staticmethod
    def topic_ac(topic_requested: str, topic_allowed: str) -> bool:
        """Tell whether one filter covers a topic, or another filter altogether.

        Args:
            topic_requested: topic name or filter of a client.
            topic_allowed: filter of a table.

        Returns:
            True when `topic_allowed` matches all that `topic_requested` stands for.

        """
        if topic_requested.startswith("$") and topic_allowed.startswith(("+", "#")):
            return False
        requested, allowed = topic_requested.split("/"), topic_allowed.split("/")
        for index, level in enumerate(allowed):
            if level == "#":
                return True
            if index == len(requested) or requested[index] == "#":
                return False
            if level not in ("+", requested[index]):
                return False
        return len(requested) == len(allowed)

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool:
        """Allow what a filter in the user's list covers."""
        if not await super().topic_filtering(session=session, topic=topic, action=action):
            return False
        if not topic or session is None or action is None:
            return False
        if self._file is not None:
            self._read_changes()
            access = _ACCESS_OF.get(action)
            return access is None or self._is_allowed(self._file, access, topic, session)
        table = self._tables[action]
        if table is None:
            return True
        user: Any = session.username if session.username is not None else _ANONYMOUS
        return any(self.topic_ac(topic, allowed) for allowed in table.get(user) or ())

    def _is_allowed(self, file: AclFile, access: Access, topic: str, session: Session) -> bool:
        user, client_id = session.username, session.client_id or ""
        allowed = file.lists.allows(access, topic, user, client_id)
        if not allowed and file.lists.patterns and (is_unusable(user) or is_unusable(client_id)):
            self.peer_log.log(
                logging.WARNING, "clients whose name no pattern is for", client_id,
                "Client '%s' of user '%s' gains nothing by patterns, because of '+', '#' or '/' in"
                " its user name or client id", client_id, user,
            )  # fmt: skip
        return allowed


def _check_table(name: str, table: Acl | None) -> None:
    """Refuse a table with a filter that would match nothing."""
    for user, filters in (table or {}).items():
        for each in filters or ():
            problem = topic_filter_problem(each)
            if problem is not None:
                shown = describe_topic(each)
                msg = f"{name}: user {user!r}: {shown} is not a valid topic filter: {problem}"
                raise ValueError(msg)


def _call_if_alive(reference: weakref.WeakMethod[Callable[[], None]]) -> None:
    call = reference()
    if call is not None:
        call()
