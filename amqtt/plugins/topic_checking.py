"""Plugins that decide who may do what with a topic.

In a broker the engine does the work of these classes, though not of subclasses.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseTopicPlugin

if TYPE_CHECKING:
    from amqtt.session import Session

_TABOO = ("prohibited", "top-secret", "data/classified")
_ANONYMOUS = "anonymous"

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
    """

    @dataclass
    class Config:
        """The tables: topic filters by user name.

        Attributes:
            acl: what users may subscribe to; use `subscribe_acl`. Left out, nobody may subscribe.
            publish_acl: what users may publish to; empty means that everyone may publish.
            subscribe_acl: what users may subscribe to; it takes the place of `acl`.
            receive_acl: what users may receive; None means that everyone may.

        """

        acl: Acl = field(default_factory=dict)
        publish_acl: Acl = field(default_factory=dict)
        subscribe_acl: Acl | None = None
        receive_acl: Acl | None = None

    def __init__(self, context: BaseContext) -> None:
        """Read the tables.

        Raises:
            ValueError: both `acl` and `subscribe_acl` are given.

        """
        super().__init__(context)
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
        table = self._tables[action]
        if table is None:
            return True
        user: Any = session.username if session.username is not None else _ANONYMOUS
        return any(self.topic_ac(topic, allowed) for allowed in table.get(user) or ())
