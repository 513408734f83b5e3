"""The plugin that asks a module for mosquitto_pyauth."""

from __future__ import annotations

import binascii
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amqtt.contexts import Action, BaseContext
from amqtt.contrib.pyauth import mosquitto_auth
from amqtt.contrib.pyauth.module import AuthModule
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.plugins.login_queue import TOO_MANY_LOGINS, LoginQueue, TooManyLoginsError

if TYPE_CHECKING:
    from amqtt.plugins.base import Decision
    from amqtt.session import Session

_READ, _WRITE = mosquitto_auth.MOSQ_ACL_READ, mosquitto_auth.MOSQ_ACL_WRITE


class PyAuthPlugin(BaseAuthPlugin, BaseTopicPlugin):
    """Ask the functions of a module that was written for mosquitto_pyauth.

    The module has some of the functions `plugin_init`, `plugin_cleanup`, `unpwd_check`,
    `acl_check`, `psk_key_get`, `security_init` and `security_cleanup`, which may be coroutine
    functions. A check that is missing, raises or takes too long refuses.
    """

    @dataclass
    class Config:
        """The options.

        Attributes:
            module: name to import the module by.
            module_folder: folder to look for it before all others.
            options: what the functions get as `opts`, the `auth_opt_*` of mosquitto without that
                prefix; numbers and truth values become texts.
            threads: in how many threads functions are called that are not coroutine functions;
                more than one only for modules that bear it.
            timeout: seconds that a call may take.
            verdict_ttl: seconds for which an answer of `acl_check` holds for the same client,
                topic and access; 0 means that it is called each time, as by mosquitto.
            use_identity_as_username: admit clients that have proven a pre-shared key without
                `unpwd_check`, as users of the name of their identity.

        """

        module: str
        module_folder: str | Path | None = None
        options: dict[str, Any] = field(default_factory=dict, repr=False)
        threads: int = 1
        timeout: int | float = 10
        verdict_ttl: int | float = 0
        use_identity_as_username: bool = False

        def __post_init__(self) -> None:
            """Check the numbers."""
            for name in ("threads", "timeout"):
                if not getattr(self, name) > 0:
                    msg = f"{name}: expected a number greater than 0, found {getattr(self, name)}"
                    raise ValueError(msg)
            if not self.verdict_ttl >= 0:
                msg = f"verdict_ttl: expected 0 or a number of seconds, found {self.verdict_ttl}"
                raise ValueError(msg)

    def __init__(self, context: BaseContext) -> None:
        """Import the module and call its `plugin_init` and `security_init`.

        Raises:
            AuthModuleError: the module cannot be imported, or one of these functions fails.

        """
        super().__init__(context)
        config = self.config
        self.verdict_ttl = float(config.verdict_ttl)
        self._options = tuple((name, _text_of(value)) for name, value in config.options.items())
        folder = None if config.module_folder is None else str(config.module_folder)
        self._module = AuthModule(
            config.module, folder, config.threads, config.timeout, self.peer_log
        )
        self._queue = LoginQueue(self.peer_log, config.threads)
        # What is a coroutine function waits for the event loop to run.
        self._is_ready = {
            "plugin_init": self._module.call_now("plugin_init", self._options),
            "security_init": self._module.call_now("security_init", self._options, False),
        }

    # -- life

    async def on_broker_pre_start(self) -> None:
        """Call what has to be called before the first check and has not been yet."""
        if not self._is_ready["plugin_init"]:
            await self._call_if_there("plugin_init", self._options)
        if not self._is_ready["security_init"]:
            await self._call_if_there("security_init", self._options, False)
        self._is_ready = dict.fromkeys(self._is_ready, True)

    async def reload(self) -> None:
        """Let the module forget and read again what it decides by."""
        await self._call_if_there("security_cleanup", True)
        await self._call_if_there("security_init", self._options, True)
        invalidate = getattr(self.context, "invalidate_verdicts", None)
        if invalidate is not None:
            invalidate()

    async def close(self) -> None:
        """Call `security_cleanup` and `plugin_cleanup`; a new start begins with their opposites."""
        if any(self._is_ready.values()):
            await self._call_if_there("security_cleanup", False)
            await self._call_if_there("plugin_cleanup")
        self._is_ready = dict.fromkeys(self._is_ready, False)

    async def _call_if_there(self, function: str, *args: Any) -> Any:
        return await self._module.call(function, *args) if self._module.has(function) else None

    # -- decisions

    async def authenticate(self, *, session: Session) -> bool | Decision:
        """Ask `unpwd_check`; as many logins at a time as there are threads, see `LoginQueue`.

        Args:
            session: what the client has sent in CONNECT.

        Returns:
            What it says; False without a user name or a password in UTF-8, `TOO_MANY_LOGINS` when
            too many logins wait.

        """
        identity = getattr(session.ssl_object, "psk_identity", None)
        if identity and self.config.use_identity_as_username:
            session.username = identity
            return True
        user, password = session.username, session.password
        if user is None or not isinstance(password, str):
            self.peer_log.log(
                logging.DEBUG, "clients without user name or password", session.client_id,
                "refused: a user name or a password in UTF-8 is missing",
            )  # fmt: skip
            return False
        if self._module.waits("unpwd_check"):
            allowed = await self._check("unpwd_check", user, password)
        else:
            try:
                async with self._queue.turn(session):
                    allowed = await self._check("unpwd_check", user, password)
            except TooManyLoginsError:
                return TOO_MANY_LOGINS
        return self._told(user, allowed, "login of user %r", user)

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool | None:
        """Ask `acl_check`.

        Args:
            session: the client's.
            topic: topic name, or filter with `Action.SUBSCRIBE`.
            action: what it wants to do.

        Returns:
            What it says.

        """
        if session is None or topic is None or action is None:
            return None
        access = _WRITE if action is Action.PUBLISH else _READ
        payload: tuple[None, ...] = ()
        if self._module.takes_payload:
            payload = (None,)
            if action is Action.SUBSCRIBE:
                access = mosquitto_auth.MOSQ_ACL_SUBSCRIBE
        allowed = await self._check(
            "acl_check", session.client_id, session.username, topic, access, *payload
        )
        user = session.username
        return self._told(user, allowed, "%s of %r for user %r", str(action), topic, user)

    async def psk_key(self, *, identity: str, hint: str) -> bytes | None:
        """Ask `psk_key_get` for a pre-shared key.

        Args:
            identity: what the client calls itself.
            hint: what the server has told the client; empty here.

        Returns:
            The key; None refuses the client.

        """
        if not self._module.has("psk_key_get"):
            return None
        key = await self._module.call("psk_key_get", identity, hint)
        if not key:
            return None
        try:
            return binascii.unhexlify(key)
        except (TypeError, ValueError):
            self.peer_log.log(
                logging.ERROR, "unusable results of the module", "psk_key_get",
                "'psk_key_get' has returned what is no hexadecimal text",
            )  # fmt: skip
            return None

    async def _check(self, function: str, *args: Any) -> bool:
        if not self._module.has(function):
            return False
        result = await self._module.call(function, *args)
        if isinstance(result, int):  # such modules return 1 and 0 as well as True and False
            return bool(result)
        if result is not None:
            self.peer_log.log(
                logging.ERROR,
                "unusable results of the module",
                function,
                "'%s' has returned a value of the type '%s', which is neither true nor false and"
                " refuses the client; return True or False",
                function,
                type(result).__name__,
            )
        return False

    def _told(self, user: str | None, allowed: bool, what: str, *about: object) -> bool:
        self.peer_log.log(
            logging.DEBUG, "decisions of the module", user,
            what + ": %s", *about, "allowed" if allowed else "refused",
        )  # fmt: skip
        return allowed


def _text_of(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
