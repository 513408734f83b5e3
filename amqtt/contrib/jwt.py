"""Plugins that take a JSON Web Token (RFC 7519) for the password of a client."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt

from amqtt._compat import StrEnum
from amqtt.contrib._topic_patterns import covers
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin

if TYPE_CHECKING:
    from amqtt.broker import BrokerContext
    from amqtt.contexts import Action
    from amqtt.session import Session

__all__ = ["Algorithms", "TopicAuthJwtPlugin", "UserAuthJwtPlugin"]


class Algorithms(StrEnum):
    """The algorithms that a token may be signed with."""

    ES256 = "ES256"
    ES256K = "ES256K"
    ES384 = "ES384"
    ES512 = "ES512"
    ES521 = "ES521"
    EdDSA = "EdDSA"
    HS256 = "HS256"
    HS384 = "HS384"
    HS512 = "HS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"


def _check_algorithm(name: str) -> None:
    if name not in {each.value for each in Algorithms}:
        msg = f"'algorithm' must be one of {', '.join(Algorithms)}, not '{name}'"
        raise ValueError(msg)


def _claims_of(plugin: BaseAuthPlugin | BaseTopicPlugin, token: str | bytes) -> dict[str, Any]:
    """Return the claims of a token.

    Only the configured algorithm is accepted, whatever the token names (RFC 8725, section 3.1).

    Raises:
        jwt.PyJWTError: it is no token, was signed by somebody else, or is not valid now.

    """
    config = plugin.context.config
    claims: dict[str, Any] = jwt.decode(token, config.secret_key, algorithms=[config.algorithm])
    return claims


class UserAuthJwtPlugin(BaseAuthPlugin):
    """Admit whoever has a token for its user name; the token is the password."""

    @dataclass
    class Config:
        """The options.

        Attributes:
            secret_key: the secret that tokens are signed with; with the algorithms of key pairs
                the public key, in PEM.
            user_claim: the claim that holds the user name.
            algorithm: one of `Algorithms`; tokens that are signed otherwise are refused.

        """

        secret_key: str = field(repr=False)
        user_claim: str
        algorithm: str = Algorithms.HS256.value

        def __post_init__(self) -> None:
            """Check the algorithm."""
            _check_algorithm(self.algorithm)

    async def authenticate(self, *, session: Session) -> bool | None:
        """Check the token.

        Args:
            session: the client's.

        Returns:
            Whether it is valid and for this user; None without user name or password.

        """
        if not session.username or not session.password:
            return None
        try:
            claims = _claims_of(self, session.password)
        except jwt.PyJWTError as error:
            return self._refuse(session, str(error))
        claim = self.context.config.user_claim
        if claim not in claims:
            return self._refuse(session, f"the token has no claim '{claim}'")
        if claims[claim] != session.username:
            return self._refuse(session, f"the token is that of '{claims[claim]}'")
        self.peer_log.log(
            logging.DEBUG, "checked tokens", session.username,
            "User '%s' is admitted", session.username,
        )  # fmt: skip
        return True

    def _refuse(self, session: Session, reason: str) -> bool:
        """Log why; the token itself is a secret and no reason shows it."""
        self.peer_log.log(
            logging.INFO, "refused tokens", session.username or "",
            "User '%s' is refused: %s", session.username, reason,
        )  # fmt: skip
        return False

    async def still_allowed(self, *, session: Session) -> bool | None:
        """Look at the token again, which may have expired."""
        return await self.authenticate(session=session)


class TopicAuthJwtPlugin(BaseTopicPlugin):
    """Allow what the client's token names in lists of topic filters.

    The token is looked at each time, so that rights end when it does.
    """

    @dataclass
    class Config:
        """The options.

        Attributes:
            secret_key: the secret that tokens are signed with; with the algorithms of key pairs
                the public key, in PEM.
            publish_claim: the claim that lists what the client may publish to.
            subscribe_claim: the claim that lists what it may subscribe to.
            receive_claim: the claim that lists what it may receive.
            algorithm: one of `Algorithms`; tokens that are signed otherwise are refused.

        """

        secret_key: str = field(repr=False)
        publish_claim: str
        subscribe_claim: str
        receive_claim: str
        algorithm: str = Algorithms.HS256.value

        def __post_init__(self) -> None:
            """Check the algorithm."""
            _check_algorithm(self.algorithm)

    def __init__(self, context: BrokerContext) -> None:
        """Read the names of the claims."""
        super().__init__(context)
        config = self.context.config
        self._claims = {
            "publish": config.publish_claim,
            "subscribe": config.subscribe_claim,
            "receive": config.receive_claim,
        }

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool | None:
        """Look the topic up in the token.

        Args:
            session: the client's.
            topic: topic name; with `Action.SUBSCRIBE` a topic filter, of which the whole must be
                allowed.
            action: what the client wants to do.

        Returns:
            Whether the token allows it; None without session, password, topic or action.

        """
        if session is None or not session.password or not topic or action is None:
            return None
        try:
            claims = _claims_of(self, session.password)
        except jwt.PyJWTError as error:
            self.peer_log.log(
                logging.INFO, "tokens without rights", session.username,
                "User '%s' has no rights: %s", session.username, error,
            )  # fmt: skip
            return False
        granted = claims.get(self._claims[str(action)])
        allowed = isinstance(granted, list) and any(
            isinstance(each, str) and covers(each, topic) for each in granted
        )
        self.peer_log.log(
            logging.DEBUG, "decisions on topics", session.username, "User '%s' %s to %s '%s'",
            session.username, "has the right" if allowed else "has no right", action, topic,
        )  # fmt: skip
        return allowed
