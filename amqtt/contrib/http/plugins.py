"""The plugins that ask an HTTP service."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from amqtt.contexts import Action, BaseContext
from amqtt.contrib.http.config import HttpConfig, check_path
from amqtt.contrib.http.service import Fields, HttpService, NoAnswerError
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin, BaseTopicPlugin

if TYPE_CHECKING:
    from amqtt.session import Session

__all__ = ["AuthHttpPlugin", "HttpAuthTopicPlugin", "TopicAuthHttpPlugin", "UserAuthHttpPlugin"]

# No verdict is remembered so soon after a request without an answer: it may be a refusal only
# because of that.
_WARY_TIME = 10.0
_TOPIC_PATH = "/acl"
_VERDICTS = {True: "allowed", False: "refused", None: "left to others"}


class _Access(IntEnum):
    """The numbers that the field `acc` has."""

    RECEIVE = 1
    PUBLISH = 2
    SUBSCRIBE = 4


class AuthHttpPlugin(BasePlugin[BaseContext]):
    """Base of the plugins that ask an HTTP service."""

    def __init__(self, context: BaseContext) -> None:
        """Take the options; no connection is opened yet."""
        super().__init__(context)
        self._service = HttpService(self.config, self.peer_log)

    def get_url(self, uri: str) -> str:
        """Return the URL of a path of the service.

        Args:
            uri: the path, with the slash in front.

        Returns:
            The URL, with scheme, host and port.

        """
        return self._service.url(uri)

    async def on_broker_pre_shutdown(self) -> None:
        """Close the connections to the service.

        Questions that come up while clients are disconnected open new ones, until `close`.
        """
        await self._service.close()

    async def close(self) -> None:
        """Close the connections to the service."""
        await self._service.close()

    async def _ask(self, what: str, path: str, fields: Fields) -> bool | None:
        verdict = await self._service.ask(path, fields)
        user = fields["username"]
        self.peer_log.log(
            logging.DEBUG, "decisions of the service", user, "%s of user %r: %s by %s",
            what, user, _VERDICTS[verdict], self.get_url(path),
        )  # fmt: skip
        return verdict


class _AsksForUsers(AuthHttpPlugin, BaseAuthPlugin):
    async def authenticate(self, *, session: Session) -> bool | None:
        """Ask the service whether a client may connect.

        Args:
            session: what the client has sent in CONNECT.

        Returns:
            What the service says; None when it leaves that to other plugins or does not answer.

        """
        password = session.password
        if isinstance(password, bytes):
            # The engine hands over text where the bytes are UTF-8.
            self.peer_log.log(
                logging.DEBUG, "passwords that are no text", session.username,
                "user %r is refused: a password that is no UTF-8 text cannot be sent",
                session.username,
            )  # fmt: skip
            return False
        fields: Fields = {
            "username": session.username,
            "password": password,
            "client_id": session.client_id,
        }
        try:
            return await self._ask("login", self.config.user_uri, fields)
        except NoAnswerError:
            return None


class _AsksForTopics(AuthHttpPlugin, BaseTopicPlugin):
    @property
    def verdict_ttl(self) -> float:  # type: ignore[override]
        """Seconds for which a verdict holds; 0 shortly after the service has failed to answer."""
        if self._service.failed_within(_WARY_TIME):
            return 0
        return float(self.config.verdict_ttl)

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool | None:
        """Ask the service whether a client may do something with a topic.

        With a `superuser_uri` that is asked first; a superuser may do everything.

        Args:
            session: the client's.
            topic: topic name, or filter with `Action.SUBSCRIBE`.
            action: what it wants to do.

        Returns:
            What the service says; None when it leaves that to other plugins or does not answer.

        """
        if session is None or topic is None or action is None:
            return None
        user = session.username
        fields: Fields = {
            "username": user,
            "client_id": session.client_id,
            "topic": topic,
            "acc": _Access[action.name].value,
        }
        try:
            if user and await self._is_superuser(user):
                return True
            return await self._ask(f"{action} of '{topic}'", self.config.topic_uri, fields)
        except NoAnswerError:
            return None

    async def _is_superuser(self, user: str) -> bool:
        path = self.config.superuser_uri
        return path is not None and bool(await self._ask("superuser", path, {"username": user}))


class UserAuthHttpPlugin(_AsksForUsers):
    """Ask an HTTP service who may connect."""

    @dataclass
    class Config(HttpConfig):
        """The options: those of `HttpConfig`, and more.

        Attributes:
            user_uri: path that is asked whether a client may connect.

        """

        user_uri: str = "/user"

        def __post_init__(self) -> None:
            """Check the values."""
            super().__post_init__()
            check_path("user_uri", self.user_uri)


class TopicAuthHttpPlugin(_AsksForTopics):
    """Ask an HTTP service what clients may do with topics."""

    @dataclass
    class Config(HttpConfig):
        """The options: those of `HttpConfig`, and more.

        Attributes:
            topic_uri: path that is asked about topics.
            acl_uri: another name of `topic_uri`.

        """

        topic_uri: str = _TOPIC_PATH
        acl_uri: str | None = None

        def __post_init__(self) -> None:
            """Check the values."""
            super().__post_init__()
            if self.acl_uri is not None:
                if self.topic_uri not in (_TOPIC_PATH, self.acl_uri):
                    msg = "'topic_uri' and 'acl_uri' mean the same, give only 'topic_uri'"
                    raise ValueError(msg)
                self.topic_uri = self.acl_uri
            check_path("topic_uri", self.topic_uri)


class HttpAuthTopicPlugin(_AsksForUsers, _AsksForTopics):
    """Ask an HTTP service both, over the same connections."""

    @dataclass
    class Config(TopicAuthHttpPlugin.Config, UserAuthHttpPlugin.Config):
        """The options of the two other plugins."""
